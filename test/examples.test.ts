import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import sendReceipt from '../examples/worker/send-receipt.ts'
import { useApp } from './app.ts'
import { until, useSpace } from './space.ts'

const space = await useSpace()

test('the README shows the example as it is', async () => {
  const file = (name: string) => readFile(new URL(`../${name}`, import.meta.url), 'utf8')
  expect(await file('README.md')).toContain(
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
      response.statusCode = order_id === 'refused' ? 422 : keys.length === 0 || !fine ? 503 : 200
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
