import { Type } from 'typebox'
import { expect, test } from 'vitest'
import { StoreRefused } from '../../src/stores/errors.ts'
import { useApp } from '../app.ts'
import { until, useSpace } from '../space.ts'

const space = await useSpace()

test('a function that waits in one of its partitions is paused, and is told of once', async () => {
  let refuses = true
  const { app, call } = await useApp(space, 'worker', { STREAM_PARTITIONS: 2 }, app =>
    app.consume({
      name: 'reserve-stock',
      stream: 'stock',
      schema: Type.Object({}),
      handler: async () => {
        if (refuses) throw new StoreRefused('mysql')
      }
    })
  )
  const told = async () => {
    const { functions } = (await call('/health')).json()
    const { body } = await call({ url: '/metrics', headers: { accept: 'text/plain' } })
    const gauge = /^orderstream_function_paused\{function="reserve-stock"\} (.*)$/m.exec(body)?.[1]
    return [functions.filter(({ name }: { name: string }) => name === 'reserve-stock'), gauge]
  }
  await space.redis.xadd(app.keys.stream('stock', 0), '*', 'v', '1', 'data', '{}', 'request_id', '')
  await until('it waits', () => app.streams.consumers.some(({ waitingFor }) => waitingFor() === 'mysql'))
  expect(await told()).toEqual([[{ name: 'reserve-stock', state: 'paused' }], '1'])
  refuses = false
  await until('it goes on', async () => (await space.redis.xlen(app.keys.stream('stock', 0))) === 0)
  await until('it is said to run', () => app.streams.consumers.every(({ waitingFor }) => !waitingFor()))
  expect(await told()).toEqual([[{ name: 'reserve-stock', state: 'running' }], '0'])
})
