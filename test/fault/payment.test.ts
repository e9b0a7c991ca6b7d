import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { inParallel, startEntry, startService } from '../harness/service.ts'
import { type Space, until } from '../harness/space.ts'
import { idsOf } from './bulk.ts'
import { ADMIN_TOKEN, keyOf, queryRows, untilAtRest } from './evidence.ts'
import { send } from './load.ts'
import { byLength } from './long.ts'
import { useOwnStores } from './own-stores.ts'

const stores = await useOwnStores()
const ORDERS = byLength(150, 1000)
const ENTRY = join(import.meta.dirname, 'payment-worker.ts')

/** The table of the function, with a row for each paid order. */
const RESERVATIONS = `CREATE TABLE reservations (
  order_id VARCHAR(100) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
  amount DECIMAL(12, 4) NOT NULL
) ENGINE = InnoDB`

/** The percentage of calls that fail in the payment service. */
const FAILURES = 30

/** The duration of each fault (ms). */
const FAULT_DURATION = 4000

/** Starts a payment service that fails at random. It pays once for each idempotency key. */
async function startPayments() {
  const paid = new Set<string>()
  let calls = 0
  const server = createServer((request, response) => {
    calls++
    request.resume()
    const fails = randomInt(100) < FAILURES
    if (!fails) paid.add(String(request.headers['idempotency-key']))
    response.writeHead(fails ? 503 : 200).end()
  }).listen(0, '127.0.0.1')
  onTestFinished(() => {
    server.close()
  })
  const { port } = await until('the payment service listens', () => server.address() as AddressInfo | null)
  return { paid, calls: () => calls, url: `http://127.0.0.1:${port}` }
}

/** Creates an account that is not an administrator, so that a read-only server refuses its writes. */
async function plainUser({ sql, env }: Space) {
  const account = "'payer'@'127.0.0.1'"
  await sql(`CREATE USER IF NOT EXISTS ${account} IDENTIFIED BY 'word'`)
  await sql(`GRANT ALL PRIVILEGES ON ${env.DB_NAME}.* TO ${account}`)
  return { account, user: { DB_USER: 'payer', DB_PASSWORD: 'word' } }
}

const refuse = (table: string, errno: number) =>
  `CREATE TRIGGER refuse_${table} BEFORE INSERT ON ${table} FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = ${errno}, MESSAGE_TEXT = 'refused by the test'`

/** The faults of MySQL that follow one another while the function pays. */
function faults(
  space: Space,
  account: string
): [name: string, begin: () => Promise<unknown>, end: () => Promise<unknown>][] {
  const each =
    (...statements: string[]) =>
    async () => {
      for (const statement of statements) await space.sql(statement)
    }
  return [
    [
      'read-only sessions',
      each('SET GLOBAL tx_read_only = 1', `KILL USER ${account}`),
      each('SET GLOBAL tx_read_only = 0')
    ],
    [
      'error 1047',
      each(refuse('reservations', 1047), refuse('outbox', 1047)),
      each('DROP TRIGGER refuse_outbox', 'DROP TRIGGER refuse_reservations')
    ],
    ['a hung MySQL', () => stores.mysql.freeze(), () => stores.mysql.start()]
  ]
}

test(`a function with a table of its own pays ${ORDERS} orders once each while payments fail and MySQL refuses and hangs`, {
  timeout: 400_000
}, async () => {
  const space = await stores.space()
  const { account, user } = await plainUser(space)
  const payments = await startPayments()
  const api = await startService(space, 'api', { ADMIN_TOKEN, ...user })
  await space.sql(RESERVATIONS)
  const worker = await startEntry(space, 'payments', ENTRY, {
    MODE: 'worker',
    PAYMENT_URL: payments.url,
    ...user
  })

  const began = performance.now()
  const sending = inParallel(idsOf('paid', ORDERS), 8, async id => {
    await until(`${id} is accepted`, async () => [200, 202].includes((await send(api.url, id)).status))
  })
  const paid = async () => (await queryRows(space, 'SELECT order_id FROM reservations')).length
  for (const [index, [name, begin, end]] of faults(space, account).entries()) {
    await until(
      `payments continue before ${name}`,
      async () => (await paid()) > (ORDERS * (index + 1)) / 5,
      60_000
    )
    await begin()
    await delay(FAULT_DURATION)
    await end()
  }
  await sending
  await until('all orders are paid', async () => (await paid()) === ORDERS, 200_000)
  const audit = await untilAtRest(api)
  const seconds = Math.round((performance.now() - began) / 1000)
  const lines = readFileSync(worker.log, 'utf8').split('\n')
  const count = (text: string) => lines.filter(line => line.includes(text)).length
  console.info(
    `payments: ${JSON.stringify({ orders: ORDERS, seconds, calls: payments.calls(), retried: count('message failed and is tried again'), waited: count('the function waits for') })}`
  )
  expect(payments.paid.size).toBe(ORDERS)
  expect(await space.redis.xlen(keyOf(space, 'dead:pay'))).toBe(0)
  expect(audit).toMatchObject({ completed: ORDERS, failed: 0, dead_letters: 0 })
})
