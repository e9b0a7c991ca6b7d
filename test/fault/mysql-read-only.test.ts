import { expect, onTestFinished, test } from 'vitest'
import { inParallel, startService } from '../harness/service.ts'
import { PATIENT, type Space, until } from '../harness/space.ts'
import { idsOf } from './bulk.ts'
import { ADMIN_TOKEN, expectCompleted, keyOf, queryRows, untilAtRest } from './evidence.ts'
import { send, sendUntil } from './load.ts'
import { useOwnStores } from './own-stores.ts'

const stores = await useOwnStores()

/**
 * Creates a user whose writes a read-only server refuses. The space's own user is an administrator and still writes.
 */
async function plainUser({ sql, env }: Space) {
  await sql("CREATE USER IF NOT EXISTS 'plain'@'127.0.0.1' IDENTIFIED BY 'plain'")
  await sql(`GRANT ALL PRIVILEGES ON ${env.DB_NAME}.* TO 'plain'@'127.0.0.1'`)
  return { DB_USER: 'plain', DB_PASSWORD: 'plain' }
}

/** Makes MySQL read-only, and writable again when the running test ends. */
async function setReadOnly(space: Space) {
  await space.sql('SET GLOBAL read_only = 1')
  onTestFinished(async () => {
    await queryRows(space, 'SET GLOBAL read_only = 0')
  })
}

test('orders are accepted while MySQL refuses writes, and all of them are completed afterwards', {
  timeout: 90_000
}, async () => {
  const space = await stores.space()
  const env = { ADMIN_TOKEN, ...PATIENT, ...(await plainUser(space)) }
  const api = await startService(space, 'api', env)
  const early = await startService(space, 'worker', env)
  expect((await send(api.url, 'before')).durability).toBe('fsync')
  await untilAtRest(api)

  await setReadOnly(space)
  // One worker cannot have so many orders in flight.
  const ids = idsOf('while', 1500)
  await inParallel(ids, 32, async id => expect((await send(api.url, id)).durability).toBe('fsync'))
  // A worker that starts now finds a valid schema, and waits like the first one.
  const late = await startService(space, 'worker', env, 'live')
  const waits = 'the function waits for a store that refuses writes'
  await until('both workers wait', () =>
    [early, late].every(worker => worker.lines().some(({ msg }) => msg === waits))
  )
  const rollbacks = async () => {
    const [row] = await queryRows<{ Value: string }>(space, "SHOW GLOBAL STATUS LIKE 'Com_rollback'")
    return Number(row?.Value)
  }
  const before = await rollbacks()
  await until('several batches were tried without success', async () => (await rollbacks()) > before + 24)
  expect((await send(api.url, 'before')).status).toBe(200)
  expect(await (await fetch(`${api.url}/orders/before`)).json()).toMatchObject({ status: 'completed' })
  expect(await space.redis.zcard(keyOf(space, 'retry:process-orders'))).toBe(0)
  // The wait is the only warning, and it is logged once.
  for (const service of [early, late]) {
    const warnings = service
      .lines()
      .filter(line => line.function === 'process-orders' && Number(line.level) > 30)
    expect(warnings.map(({ msg }) => msg)).toEqual([waits])
  }

  await space.sql('SET GLOBAL read_only = 0')
  const audit = await untilAtRest(api)
  expect(audit).toMatchObject({ completed: 1501, failed: 0, dead_letters: 0 })
  await expectCompleted(space, ['before', ...ids])
})

test('an order is refused while Redis is unavailable and MySQL refuses writes, and can be sent again', {
  timeout: 60_000
}, async () => {
  const space = await stores.space()
  const api = await startService(space, 'api', { ...PATIENT, ...(await plainUser(space)) })
  await stores.redis.kill()
  const [spilled] = (await sendUntil(api.url, 'before', ({ durability }) => durability === 'mysql')).slice(-1)
  await setReadOnly(space)
  expect(await send(api.url, 'refused')).toMatchObject({ status: 503, retryAfter: 1 })
  expect((await send(api.url, spilled?.id ?? '')).status).toBe(200)
  await space.sql('SET GLOBAL read_only = 0')
  expect(await send(api.url, 'refused')).toMatchObject({ status: 202, durability: 'mysql' })
})
