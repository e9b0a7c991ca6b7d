import { expect, test } from 'vitest'
import { useFunction } from '../../test/harness/function.ts'
import { usePartner } from '../../test/harness/partner.ts'
import reservePayment from './reserve-payment.ts'

const tables = [new URL('../migrations/002.do.unpaid-orders.sql', import.meta.url)]

test('reserve-payment lists an order whose payment is refused until a redrive pays it', async () => {
  const answers: Record<string, number> = { rich: 200, poor: 402, unlucky: 503 }
  const payments = await usePartner(({ body }) => answers[(body as { order_id: string }).order_id] as number)
  const fn = await useFunction(reservePayment, { options: { url: payments.url, attempts: 2 }, tables })
  for (const order_id of Object.keys(answers)) await fn.orderCompleted(order_id, 100)
  await fn.settled()
  const unpaid = () => fn.space.sql('SELECT order_id, code FROM unpaid_orders ORDER BY order_id')
  expect(await unpaid()).toEqual([
    { order_id: 'poor', code: 'payment-refused' },
    { order_id: 'unlucky', code: 'exhausted' }
  ])
  expect(payments.requests).toHaveLength(4)
  expect(payments.requests[0]).toMatchObject({ body: { total: 118 } })

  answers.poor = 200
  await fn.app.streams.deadLetters.redrive('reserve-payment', undefined, 100)
  await fn.settled()
  expect(await unpaid()).toEqual([{ order_id: 'unlucky', code: 'exhausted' }])
  expect(await fn.deadLetters()).toMatchObject([{ code: 'exhausted' }])
})
