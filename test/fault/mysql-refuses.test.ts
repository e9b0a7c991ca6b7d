import { randomBytes } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import type { Health } from '../../schema/http/health.ts'
import { healthOf, inParallel, type Service, startService } from '../harness/service.ts'
import { PATIENT, type Space, until } from '../harness/space.ts'
import { idsOf } from './bulk.ts'
import { ADMIN_TOKEN, expectCompleted, keyOf, untilAtRest } from './evidence.ts'
import { send, sendUntil } from './load.ts'
import { useOwnStores } from './own-stores.ts'

const stores = await useOwnStores()

/** The statements that make MySQL refuse orders although it answers pings, and the statements that undo them. */
interface Refusal {
  name: string
  begin: string[]
  end: string[]
}

/** Makes the insert of an order fail with an error. */
const failWith = (errno: number, state = 'HY000'): Refusal => ({
  name: `error ${errno}`,
  begin: [
    `CREATE TRIGGER refuse BEFORE INSERT ON orders FOR EACH ROW SIGNAL SQLSTATE '${state}' SET MYSQL_ERRNO = ${errno}, MESSAGE_TEXT = 'refused'`
  ],
  end: ['DROP TRIGGER refuse']
})

/** The refusals, for an account with rights on each table. */
function refusals(account: string): Refusal[] {
  return [
    {
      name: 'tx_read_only',
      // The setting applies to new sessions only, so the open sessions are killed.
      begin: ['SET GLOBAL tx_read_only = 1', `KILL USER ${account}`],
      end: ['SET GLOBAL tx_read_only = 0']
    },
    {
      name: 'REVOKE INSERT',
      begin: [`REVOKE INSERT ON orders FROM ${account}`],
      end: [`GRANT INSERT ON orders TO ${account}`]
    },
    {
      name: 'a missing table',
      begin: ['RENAME TABLE accepted_ended TO elsewhere'],
      end: ['RENAME TABLE elsewhere TO accepted_ended']
    },
    failWith(1047, '08S01'),
    failWith(1665)
  ]
}

/** Creates an account with only the rights that the service needs. INSERT is granted per table and can be revoked. */
async function createWriter({ sql, env }: Space) {
  const DB_USER = `writer_${randomBytes(4).toString('hex')}`
  const account = `'${DB_USER}'@'127.0.0.1'`
  await sql(`CREATE USER ${account} IDENTIFIED BY 'word'`)
  await sql(`GRANT SELECT, UPDATE, DELETE, CREATE, ALTER ON ${env.DB_NAME}.* TO ${account}`)
  for (const table of [
    'orders',
    'order_totals',
    'outbox',
    'accepted_ended',
    'accepted_epochs',
    'function_starts'
  ])
    await sql(`GRANT INSERT ON ${table} TO ${account}`)
  return { account, env: { DB_USER, DB_PASSWORD: 'word' } }
}

const healthIn = async ({ url }: Service) => (await (await fetch(`${url}/health`)).json()) as Health
const waitsOf = (worker: Service) =>
  worker
    .lines()
    .filter(line => line.function === 'process-orders' && /the function waits for/.test(String(line.msg)))
const linesOf = (service: Service, text: string) => service.lines().filter(({ msg }) => msg === text)

test('orders wait without spending an attempt while MySQL answers but refuses them, and health reports the reason', {
  timeout: 240_000
}, async () => {
  const space = await stores.space()
  // Rights can only be granted on a table that exists.
  const first = await startService(space, 'api', PATIENT)
  await first.end('SIGTERM')
  const { account, env } = await createWriter(space)
  const api = await startService(space, 'api', { ADMIN_TOKEN, ...PATIENT, ...env })
  const worker = await startService(space, 'worker', { ...PATIENT, ...env })
  const all: string[] = []
  for (const [round, { name, begin, end }] of refusals(account).entries()) {
    const warned = waitsOf(worker).length
    onTestFinished(async ({ task }) => {
      if (task.result?.state === 'fail')
        for (const statement of end) await space.sql(statement).catch(() => {})
    })
    for (const statement of begin) await space.sql(statement)
    const ids = idsOf(`round-${round}`, 60)
    all.push(...ids)
    await inParallel(ids, 16, async id => expect((await send(api.url, id)).status, name).toBe(202))
    // An api detects the refusal within seconds of a health request. One round is enough to test an api.
    const services = round === 0 ? [worker, api] : [worker]
    for (const service of services) {
      const { warnings } = await until(`${name}: health reports it`, async () => {
        const health = await healthIn(service)
        return health.status === 'degraded' && health.warnings && health
      })
      expect(warnings?.join(), name).toMatch(
        /not completed: mysql refuses what is needed of it \(errno \d+\)/
      )
    }
    const waits = () => waitsOf(worker).length
    await until(`${name}: the function waits`, () => waits() > warned)
    expect(await space.redis.zcard(keyOf(space, 'retry:process-orders')), name).toBe(0)
    for (const statement of end) await space.sql(statement)
    await untilAtRest(api)
    for (const service of services)
      await until(`${name}: it is healthy again`, async () => (await healthOf(service.url)) === 'healthy')
    // A call that failed before the end may report it after another one has continued. No retry logs a line of its own.
    expect(waits(), name).toBeLessThanOrEqual(warned + 2)
  }
  for (const text of ['mysql refuses writes', 'mysql accepts writes again'])
    expect(linesOf(worker, text)).toHaveLength(refusals(account).length)
  expect(linesOf(worker, 'message failed and is tried again')).toEqual([])
  expect(await untilAtRest(api)).toMatchObject({
    completed: all.length,
    failed: 0,
    dead_letters: 0,
    retrying: 0
  })
  await expectCompleted(space, all)
})

test('an order is refused while Redis is unavailable and its insert into MySQL fails, and can be sent again', {
  timeout: 90_000
}, async () => {
  const space = await stores.space()
  const api = await startService(space, 'api', PATIENT)
  await stores.redis.kill()
  onTestFinished(() => stores.redis.start())
  await sendUntil(api.url, 'before', ({ durability }) => durability === 'mysql')
  for (const [index, errno] of [1047, 1030, 1969, 1665].entries()) {
    const { begin, end } = failWith(errno)
    for (const statement of begin) await space.sql(statement)
    const answers = await Promise.all(idsOf(`refused-${index}`, 8).map(id => send(api.url, id)))
    for (const answer of answers) expect(answer).toMatchObject({ status: 503, retryAfter: 1 })
    for (const statement of end) await space.sql(statement)
    expect(await send(api.url, `after-${index}`)).toMatchObject({ status: 202, durability: 'mysql' })
  }
})
