import { expect, test } from 'vitest'
import { identityOf } from '../../../src/orders/identity.ts'
import { byIdentity, ORDERS_BY_IDENTITY } from '../../../src/orders/tables/by-identity.ts'
import { useApp } from '../../harness/app.ts'
import { useSpace } from '../../harness/space.ts'

const space = await useSpace()

interface Row {
  order_id: string
  tenant: string
}

test('orders are found by their identities with the unique key, and read only these rows', async () => {
  await useApp(space, 'api')
  const tenants = ['default', 'acme', 'beta']
  const rows = tenants.flatMap(tenant =>
    Array.from({ length: 500 }, (_, n) => [`order-${n}`, tenant, 1, 'completed', '2026-01-01', '2026-01-01'])
  )
  await space.sql('INSERT INTO orders (order_id, tenant, amount, status, created_at, updated_at) VALUES ?', [
    rows
  ])
  for (const identities of [
    ['order-1', 'order-2', 'unknown'],
    ['acme/order-1', 'order-2', 'acme/order-3', 'beta/unknown']
  ]) {
    const { sql, values } = byIdentity(identities)
    const statement = `SELECT order_id, tenant FROM ${ORDERS_BY_IDENTITY} WHERE ${sql}`
    const found = await space.sql<Row>(statement, values)
    expect(found.map(identityOf).sort()).toEqual(identities.filter(id => !id.includes('unknown')).sort())
    const [plan] = await space.sql<{ key: string; type: string; rows: string; Extra: string }>(
      `EXPLAIN ${statement}`,
      values
    )
    expect(plan).toMatchObject({
      key: 'orders_order_id',
      type: 'range',
      Extra: expect.stringContaining('Using index')
    })
    expect(Number(plan?.rows)).toBeLessThanOrEqual(identities.length)
  }
})
