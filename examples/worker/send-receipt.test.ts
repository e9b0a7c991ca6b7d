import { expect, test } from 'vitest'
import { useFunction } from '../../test/harness/function.ts'
import { usePartner } from '../../test/harness/partner.ts'
import sendReceipt from './send-receipt.ts'

test('send-receipt retries a receipt with the same key when the web hook fails or redirects', async () => {
  const answers: Record<string, number[]> = { one: [302, 200], two: [503, 500, 200] }
  const hook = await usePartner(({ body }) => {
    const status = answers[(body as { order_id: string }).order_id]?.shift() ?? 404
    return [status, { location: '/elsewhere' }]
  })
  const fn = await useFunction(sendReceipt, { options: { url: `${hook.url}/receipts` } })
  await fn.orderCompleted('one', 100)
  await fn.orderCompleted('two', 100)
  await fn.orderFailed('three', 100)
  await fn.settled()
  const keys = hook.requests.map(({ headers }) => headers['idempotency-key']).sort()
  const [one, two] = ['receipt:one:completed', 'receipt:two:completed']
  expect(keys).toEqual([one, one, two, two, two])
  const receipt = { order_id: 'one', amount: 100, tax: 18, total: 118, status: 'completed' }
  expect(hook.requests[0]).toMatchObject({ method: 'POST', path: '/receipts', body: receipt })
  expect(await fn.deadLetters()).toEqual([])
})

test('send-receipt dead-letters a receipt that the web hook refuses', async () => {
  const hook = await usePartner(() => 422)
  const fn = await useFunction(sendReceipt, { options: { url: hook.url } })
  await fn.orderCompleted('refused', 100)
  await fn.settled()
  expect(await fn.deadLetters()).toMatchObject([{ code: 'refused', attempts: 1 }])
})
