import { createConnection } from 'mysql2/promise'
import { PLAIN_COLUMNS, toValues } from '../../../../src/orders/tables/row.ts'
import { inChunks } from '../shared/chunks.ts'
import { mysqlOptions } from '../shared/environment.ts'
import { completeOrder, place } from '../shared/orders.ts'

/**
 * The limit of INSERTs. A loop on one connection inserts 500 completed orders in each statement. Each statement is a
 * transaction and writes the same columns as the service. The loop creates and prices the orders, as every worker must.
 * It does not read, acknowledge or count messages.
 */
const connection = await createConnection(mysqlOptions())

await inChunks(500, async orders => {
  const rows = orders.map(order => toValues(completeOrder(place(order), '1769860800000-0')))
  await connection.query(`INSERT INTO orders (${PLAIN_COLUMNS}) VALUES ?`, [rows])
})

await connection.end()
