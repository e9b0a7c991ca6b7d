import { expect, test } from 'vitest'
import { useApp } from '../harness/app.ts'
import { until, useSpace } from '../harness/space.ts'
import logOrders from './log-orders.ts'
import { blocksOf, read } from './pages.ts'

const space = await useSpace()

test('the function in the README runs without a change', async () => {
  expect(blocksOf(await read('README.md'), 'ts')).toEqual([await read('test/docs/log-orders.ts')])
  const api = await useApp(space, 'api')
  const worker = await useApp(space, 'worker', {}, app => {
    app.register(logOrders)
  })
  await api.post({ order_id: 'readme', amount: 100 })
  const line = await until('the order is logged', () =>
    worker.log.find(({ msg }) => msg === 'order.completed')
  )
  expect(line).toMatchObject({ order_id: 'readme', function: 'log-orders' })
})
