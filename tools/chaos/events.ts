import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { inPartitions, type StoreAccess, WATCHING } from './stores.ts'
import { identityOf } from './tenants.ts'

/** The entries of the stream `events` so far. */
export interface EventLog {
  /** The distinct ids of the `order.completed` events of each order, by its identity. */
  completed: Map<string, string[]>
  /** The distinct ids of the `order.failed` events of each order. */
  failed: Map<string, string[]>
  /** The distinct ids of the `order.cancelled` events of each order. */
  cancelled: Map<string, string[]>
  /** Returns the number of entries that repeat an event. They are valid, because delivery is at least once. */
  repeated: () => number
  /** Entries that are not CloudEvents, or that the service trimmed before this group read them. */
  faulty: string[]
  /** Reads every waiting entry. */
  drain: () => Promise<void>
  /** Reads entries until aborted. Continues after faults of Redis. */
  run: (signal: AbortSignal) => Promise<void>
}

const GROUP = 'chaos-checker'
const PAUSE = 300

/**
 * Reads the events with its own consumer group during the run. The service trims entries that every group has
 * acknowledged, so at the end the stream has only a few entries.
 */
export function createEventLog(access: StoreAccess): EventLog {
  const completed = new Map<string, string[]>()
  const failed = new Map<string, string[]>()
  const cancelled = new Map<string, string[]>()
  const byType = new Map([
    ['order.completed', completed],
    ['order.failed', failed],
    ['order.cancelled', cancelled]
  ])
  const faulty: string[] = []
  const newest = new Map<string, string>()
  let repeated = 0

  const record = (stream: string, id: string, fields: string[] | null) => {
    const event = parse(fields)
    if (!event) {
      faulty.push(`${stream} ${id}: ${fields ? fields.join(' ') : 'trimmed before it was acknowledged'}`)
      return
    }
    const again = !isAfter(id, newest.get(stream) ?? '0-0')
    if (!again) newest.set(stream, id)
    const ids = byType.get(event.type)
    const order = identityOf({ order_id: event.subject, tenant: event.tenant })
    const known = ids?.get(order)
    if (!known) ids?.set(order, [event.id])
    else if (!known.includes(event.id)) known.push(event.id)
    else if (!again) repeated++
  }

  /** Reads unacknowledged entries first, because the reply to an earlier read may be lost. */
  const drainStream = async (client: Redis, stream: string) => {
    await client.xgroup('CREATE', stream, GROUP, '0', 'MKSTREAM').catch(ignoreExisting)
    for (const from of ['0', '>']) {
      for (;;) {
        const reply = await client.xreadgroup(
          ...(['GROUP', GROUP, 'one', 'COUNT', 1000, 'STREAMS', stream, from] as const)
        )
        const entries = (reply as [string, [string, string[] | null][]][] | null)?.[0]?.[1] ?? []
        if (entries.length === 0) break
        for (const [id, fields] of entries) record(stream, id, fields)
        await client.xack(stream, GROUP, ...entries.map(([id]) => id))
      }
    }
  }

  const drain = async (connectTimeout?: number) => {
    await inPartitions(access, (client, keyOf) => drainStream(client, keyOf('events')), connectTimeout)
  }

  return {
    completed,
    failed,
    cancelled,
    repeated: () => repeated,
    faulty,
    drain: () => drain(),
    run: async signal => {
      while (!signal.aborted) {
        await drain(WATCHING).catch(() => {})
        await delay(PAUSE, undefined, { signal }).catch(() => {})
      }
    }
  }
}

function ignoreExisting(error: Error): void {
  if (!error.message.startsWith('BUSYGROUP')) throw error
}

interface Event {
  id: string
  type: string
  subject: string
  tenant?: string
}

function parse(fields: string[] | null): Event | undefined {
  const data = fields?.[fields.indexOf('data') + 1]
  try {
    const event = JSON.parse(data ?? '')
    const whole = [event.id, event.type, event.subject, event.source].every(
      part => typeof part === 'string' && part !== ''
    )
    return whole && event.specversion === '1.0' ? event : undefined
  } catch {
    return undefined
  }
}

/** Returns whether a stream id is newer than another. */
function isAfter(a: string, b: string): boolean {
  const [aTime = 0, aNumber = 0] = a.split('-').map(Number)
  const [bTime = 0, bNumber = 0] = b.split('-').map(Number)
  return aTime > bTime || (aTime === bTime && aNumber > bNumber)
}
