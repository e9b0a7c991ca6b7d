import { createKeys } from '../../../src/streams/keys.ts'
import { EVENTS } from '../../../src/streams/names.ts'
import type { Bench } from '../bench.ts'
import { orderstream } from '../contestants.ts'
import { drainMore } from '../drain.ts'
import type { Place } from '../stores.ts'

/** Measures the memory of one order in Redis, waiting (message and document) and finished (document with a TTL). */
export async function memory(bench: Bench): Promise<void> {
  const plan = bench.plan.memory
  if (!plan) return
  bench.say('memory of Redis for each order')
  const service = await orderstream(bench, 'always')
  await service.place.reset()
  // The first orders create keys such as the group. These keys must not count.
  await drainMore(service, 20_000)
  const empty = await usedMemory(service.place)
  await service.fill(plan.orders)
  const waiting = await usedMemory(service.place)
  bench.add('memory', 'waiting order', 'bytes', [(waiting - empty) / plan.orders])
  await service.place.reset()
  await drainMore(service, 20_000)
  const before = await usedMemory(service.place)
  await drainMore(service, plan.orders)
  const after = await usedMemory(service.place)
  bench.add('memory', 'finished order', 'bytes', [(after - before) / plan.orders])
  await service.place.reset()
}

/** Returns the memory of Redis without the events, because the service trims the events later. */
async function usedMemory({ redis, prefix }: Place): Promise<number> {
  const used = Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1])
  const events = await redis.memory('USAGE', createKeys(prefix, 1).stream(EVENTS, 0), 'SAMPLES', 0)
  return used - (events ?? 0)
}
