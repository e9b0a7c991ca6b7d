import { expect, test } from 'vitest'
import { type Client, NoReply } from '../../../tools/chaos/client.ts'
import { postBatch } from '../../../tools/chaos/push/batch.ts'

const clientOf = (post: () => Promise<{ status: number; text: string }>) =>
  ({ post, name: 'api-1' }) as unknown as Client

const ACCEPTED = '{"index":0,"order_id":"a","status":202,"order":{"order_id":"a","amount":1.50}}\n'
const REFUSED = '{"index":1,"order_id":"b","status":400,"problem":{"status":400}}\n'

test('each order gets the result with its index, and the document as it is written', async () => {
  const client = clientOf(async () => ({ status: 200, text: ACCEPTED + REFUSED }))
  expect(await postBatch(client, ['', ''], {})).toEqual([
    { status: 202, text: '{"order_id":"a","amount":1.50}' },
    { status: 400, text: '{"status":400}' }
  ])
})

test('an order has no result when the answer is cut off before it', async () => {
  const client = clientOf(async () => {
    throw new NoReply('cut off', ACCEPTED + REFUSED.slice(0, -1))
  })
  const [first, second] = await postBatch(client, ['', ''], {})
  expect([first?.status, second]).toEqual([202, undefined])
})

test('a batch that is refused has the refusal as each result', async () => {
  const refusal = { status: 503, text: '{}' }
  expect(
    await postBatch(
      clientOf(async () => refusal),
      ['', ''],
      {}
    )
  ).toEqual([refusal, refusal])
})
