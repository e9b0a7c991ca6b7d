import { createConnection } from 'mysql2/promise'
import { COLUMNS, toValues } from '../../../../src/orders/tables/row.ts'
import { inChunks } from '../shared/chunks.ts'
import { mysqlOptions } from '../shared/environment.ts'
import { completeOrder, place } from '../shared/orders.ts'

/**
 * What a plain loop on one connection writes: INSERTs of 500 completed orders each, one after the other, every one its own
 * transaction, into the table and the columns that the service writes. Orders are made, priced and turned into values
 * inside the loop, as any writer must; nothing is read, acknowledged, counted or answered beside it.
 */
const connection = await createConnection(mysqlOptions())

await inChunks(500, async orders => {
  const rows = orders.map(order => toValues(completeOrder(place(order), '1769860800000-0')))
  await connection.query(`INSERT INTO orders (${COLUMNS}) VALUES ?`, [rows])
})

await connection.end()
