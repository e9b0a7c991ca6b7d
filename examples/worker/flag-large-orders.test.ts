import { expect, test } from 'vitest'
import { useFunction } from '../../test/harness/function.ts'
import flagLargeOrders from './flag-large-orders.ts'

test('flag-large-orders keeps only completed orders whose amount reaches the limit', async () => {
  const fn = await useFunction(flagLargeOrders, { options: { from: 500 } })
  await fn.orderCompleted('small', '499.9999')
  await fn.orderCompleted('large', 500)
  await fn.orderFailed('failed', 900)
  await fn.settled()

  const { app } = fn
  expect(await app.redis.zrange(`${app.config.KEY_PREFIX}:large-orders`, '0', '-1')).toEqual([
    'large:completed'
  ])
  expect(await fn.deadLetters()).toEqual([])
})
