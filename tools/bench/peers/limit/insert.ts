import { createConnection } from 'mysql2/promise'
import { PLAIN_COLUMNS, toValues } from '../../../../src/orders/tables/row.ts'
import { inChunks } from '../shared/chunks.ts'
import { mysqlOptions } from '../shared/environment.ts'
import { completeOrder, place } from '../shared/orders.ts'

/**
 * The limit of INSERTs: a loop on one connection that inserts 500 completed orders at a time, each statement its own
 * transaction, into the columns that the service writes. The loop makes and prices the orders, as any writer must. It does
 * not read, acknowledge, count or answer anything.
 */
const connection = await createConnection(mysqlOptions())

await inChunks(500, async orders => {
  const rows = orders.map(order => toValues(completeOrder(place(order), '1769860800000-0')))
  await connection.query(`INSERT INTO orders (${PLAIN_COLUMNS}) VALUES ?`, [rows])
})

await connection.end()
