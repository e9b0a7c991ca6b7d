import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Type } from 'typebox'
import { expect, onTestFinished, test } from 'vitest'
import reservePayment from '../examples/worker/reserve-payment.ts'
import sendReceipt from '../examples/worker/send-receipt.ts'
import { statementsOf } from '../src/stores/mysql/migrate.ts'
import type { Message } from '../src/streams/function.ts'
import { useApp } from './harness/app.ts'
import { until, useSpace } from './harness/space.ts'

const space = await useSpace()
const file = (name: string) => readFile(new URL(`../${name}`, import.meta.url), 'utf8')

test('docs/functions.md shows the example as it is', async () => {
  expect(await file('docs/functions.md')).toContain(
    `\`\`\`ts\n${await file('examples/worker/send-receipt.ts')}\`\`\``
  )
})

test('send-receipt tells a web hook of every completed order, again while that fails, and gives up what it refuses', async () => {
  const attempts = new Map<string, string[]>()
  const hook = createServer((request, response) => {
    let body = ''
    request.on('data', chunk => {
      body += chunk
    })
    request.on('end', () => {
      const { order_id, status, total } = JSON.parse(body)
      const keys = attempts.get(order_id) ?? []
      attempts.set(order_id, [...keys, String(request.headers['idempotency-key'])])
      const fine = status === 'completed' && total === 118
      // The first time one is sent elsewhere, the other one is told that this is not working.
      const first = order_id === 'one' ? 302 : 503
      response.setHeader('location', '/elsewhere')
      response.statusCode = order_id === 'refused' ? 422 : keys.length === 0 || !fine ? first : 200
      response.end()
    })
  }).listen(0, '127.0.0.1')
  onTestFinished(() => {
    hook.close()
  })
  const { port } = await until('the hook listens', () => hook.address() as AddressInfo | null)

  const api = await useApp(space, 'api')
  const worker = await useApp(space, 'worker', {}, app => {
    app.register(sendReceipt, { url: `http://127.0.0.1:${port}` })
  })
  for (const order_id of ['one', 'two', 'refused']) await api.post({ order_id, amount: 100 })

  await until(
    'both are told twice',
    () => attempts.get('one')?.length === 2 && attempts.get('two')?.length === 2
  )
  expect(new Set(attempts.get('one')).size).toBe(1)
  const { letters } = await until('the refused one is a dead letter', async () => {
    const page = await worker.app.streams.deadLetters.list('send-receipt', '', 10)
    return page.letters.length > 0 && page
  })
  expect(letters).toEqual([expect.objectContaining({ code: 'refused', attempts: 1 })])
})

test('reserve-payment notes each payment once in its own table, and gives up what is refused', async () => {
  const keys: string[] = []
  const service = createServer((request, response) => {
    request.resume()
    const key = String(request.headers['idempotency-key'])
    const first = !keys.includes(key)
    keys.push(key)
    response.writeHead(key.includes('poor') ? 402 : first ? 503 : 200).end()
  }).listen(0, '127.0.0.1')
  onTestFinished(() => {
    service.close()
  })
  const { port } = await until('it listens', () => service.address() as AddressInfo | null)
  for (const statement of statementsOf(await file('examples/migrations/001.do.reservations.sql')))
    await space.sql(statement)
  const api = await useApp(space, 'api')
  const worker = await useApp(space, 'worker', {}, app => {
    app.register(reservePayment, { url: `http://127.0.0.1:${port}` })
  })
  for (const order_id of ['rich', 'poor']) await api.post({ order_id, amount: 100 })
  const reserved = () => space.sql('SELECT order_id, amount FROM reservations')
  await until('one is noted', async () => (await reserved()).length > 0)
  expect(await reserved()).toEqual([{ order_id: 'rich', amount: '118.0000' }])
  const letters = await until('the other is a dead letter', async () => {
    const page = await worker.app.streams.deadLetters.list('reserve-payment', '', 10)
    return page.letters.length > 0 && page.letters
  })
  expect(letters).toEqual([expect.objectContaining({ code: 'payment-refused', attempts: 1 })])
})

test('a message that is put on a queue as docs/functions.md states is handled, in whichever partition', async () => {
  const [, line = ''] = /^redis-cli (XADD .*)$/m.exec(await file('docs/functions.md')) ?? []
  const [command = '', key = '', ...fields] = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(
    ([, quoted, plain]) => quoted ?? plain ?? ''
  )
  expect([command, key]).toEqual(['XADD', '{orderstream:0}:stock'])
  const seen: Message<{ sku: string; count: number }>[] = []
  await useApp(space, 'worker', { STREAM_PARTITIONS: 2, KEY_PREFIX: `${space.env.KEY_PREFIX}.queue` }, app =>
    app.consume({
      name: 'reserve-stock',
      stream: 'stock',
      schema: Type.Object({ sku: Type.String(), count: Type.Integer() }, { additionalProperties: false }),
      handler: async messages => {
        seen.push(...messages)
      }
    })
  )
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const own = (partition: number) =>
    key.replace('{orderstream:0}', `{${space.env.KEY_PREFIX}.queue:${partition}}`)
  await space.redis.call(command, [own(0), ...fields])
  await space.redis.call(command, [own(1), ...fields, 'traceparent', traceparent])
  await until('both are handled', () => seen.length === 2)
  const body = { sku: 'A-1', count: 2 }
  expect(seen.sort((a, b) => (a.effectKey < b.effectKey ? -1 : 1))).toMatchObject([
    { body, requestId: 'req-1', traceparent: '', attempt: 1 },
    { body, requestId: 'req-1', traceparent, attempt: 1 }
  ])
  await until('both are deleted', async () => {
    const left = await Promise.all([0, 1].map(partition => space.redis.xlen(own(partition))))
    return left.every(count => count === 0)
  })
})
