import { readFile } from 'node:fs/promises'
import { Type } from 'typebox'
import { expect, test } from 'vitest'
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

test('a message that the XADD line of the guide adds is handled, in each partition', async () => {
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
