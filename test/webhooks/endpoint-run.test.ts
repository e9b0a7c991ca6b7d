import { describe, expect, test } from 'vitest'
import { runEndpoint } from '../../src/webhooks/deliver/endpoint-run.ts'
import { createQueue, type Queue } from '../../src/webhooks/deliver/queue.ts'
import { newWebhookSecret } from '../../src/webhooks/signature.ts'
import { until } from '../harness/space.ts'
import { numbers, SHORT, TENANT, useQueues } from './queues.ts'
import { useReceiver, verify } from './receiver.ts'

const { space, app, mysql, table, addEndpoint, addDeliveries, rowsOf, statusesOf, isDone, start } =
  await useQueues()

/** A receiver that answers ten requests at once, so that the run reads many ids, and holds the next ones: at most four. */
const useHoldingReceiver = async () => {
  const held: (() => void)[] = []
  let holds = true
  const receiver = await useReceiver(async () => {
    if (holds && receiver.received.length > 10) await new Promise<void>(resolve => held.push(resolve))
    return 200
  })
  const release = () => {
    holds = false
    for (const resolve of held) resolve()
  }
  return { ...receiver, isHolding: () => held.length > 0, release }
}

const ownerOf = async (id: string) => {
  const [row] = await space.sql<{ owner: string | null }>(
    'SELECT owner FROM webhook_endpoints WHERE id = ?',
    [id]
  )
  return row?.owner
}

/** Runs an endpoint with 40 deliveries, and a sender that takes a turn of the event loop. */
const run = async (change: (queue: Queue) => Partial<Queue>, onSend: () => void) => {
  const { id } = await addEndpoint('http://127.0.0.1:1/')
  await addDeliveries(id, numbers(0, 40))
  const queue = createQueue(mysql, 'runner')
  const endpoint = await queue.claim(id, 60_000)
  if (!endpoint) throw new Error('the endpoint has another owner')
  const send = async () => {
    await new Promise(setImmediate)
    onSend()
    return { status: 200, duration: 1, error: null, retryAfter: undefined }
  }
  const running = runEndpoint(endpoint, {
    queue: { ...queue, ...change(queue) },
    sender: { send },
    pauses: SHORT,
    leaving: new AbortController().signal,
    mustEnd: () => false,
    log: app.log,
    count: () => {}
  })
  return { id, running }
}

describe('the run of an endpoint', () => {
  test('sends to the new URL with the new secret as soon as they are changed', async () => {
    const [before, after] = [await useHoldingReceiver(), await useReceiver(() => 200)]
    const { id } = await addEndpoint(before.url)
    await addDeliveries(id, numbers(0, 40))
    start()
    await until('a request is held', before.isHolding)
    const secret = newWebhookSecret()
    await table.rotate(TENANT, id, secret, 0)
    await table.change(TENANT, id, { url: after.url })
    before.release()
    await until('all are delivered', () => isDone(id))
    expect(before.received.length).toBeLessThanOrEqual(14)
    expect(before.received.length + after.received.length).toBe(40)
    for (const request of after.received) verify(request, secret)
  })

  test('sends nothing more as soon as the endpoint is disabled', async () => {
    const { url, received, isHolding, release } = await useHoldingReceiver()
    const { id } = await addEndpoint(url)
    await addDeliveries(id, numbers(0, 40))
    start()
    await until('a request is held', isHolding)
    await table.change(TENANT, id, { enabled: false })
    release()
    await until('the run has ended', async () => (await ownerOf(id)) === null)
    expect(received.length).toBeLessThanOrEqual(14)
    const waiting = (await statusesOf(id)).filter(status => status === 'waiting')
    expect(waiting).toHaveLength(40 - received.length)
  })

  test('has no payload in memory but those in flight', async () => {
    let [inMemory, most] = [0, 0]
    const { id, running } = await run(
      queue => ({
        read: async (...args) => {
          most = Math.max(most, ++inMemory)
          return queue.read(...args)
        }
      }),
      () => inMemory--
    )
    await running
    expect(await isDone(id)).toBe(true)
    expect(most).toBe(4)
  })

  test('ends with the error of MySQL after the attempts in flight', async () => {
    const broken = new Error('a broken connection')
    let [reads, sent] = [0, 0]
    const { id, running } = await run(
      queue => ({
        read: async (...args) => {
          if (++reads === 20) throw broken
          return queue.read(...args)
        }
      }),
      () => sent++
    )
    await expect(running).rejects.toBe(broken)
    expect((await rowsOf(id)).filter(({ status }) => status === 'delivered')).toHaveLength(sent)
  })
})

describe('the stop of a dispatcher', () => {
  test('keeps the lease of an endpoint until its attempts have ended', async () => {
    const answers: (() => void)[] = []
    const { url, received } = await useReceiver(async () => {
      await new Promise<void>(resolve => answers.push(resolve))
      return 200
    })
    const { id } = await addEndpoint(url)
    await addDeliveries(id, [0])
    const { dispatcher } = start({ lease: 3000, patience: 20_000 })
    await until('an attempt is in flight', () => received.length === 1)
    const [stopped] = await space.sql<{ at: string }>('SELECT UTC_TIMESTAMP(3) AS at')
    const stopping = dispatcher.stop()
    await until('the lease was renewed since then', async () => {
      const renewed = 'SELECT 1 FROM webhook_endpoints WHERE id = ? AND leased_until > ? + INTERVAL 4 SECOND'
      return (await space.sql(renewed, [id, stopped?.at])).length === 1
    })
    for (const answer of answers) answer()
    await stopping
    expect(received).toHaveLength(1)
    expect(await statusesOf(id)).toEqual(['delivered'])
    expect(await ownerOf(id)).toBeNull()
  })
})
