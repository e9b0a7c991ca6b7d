import { drawFields, fieldsOf } from './fields.ts'
import { toText } from './money.ts'
import { createRandom, hash, type Random } from './random.ts'
import { orderIdOf, TENANT } from './tenants.ts'

/** One body to post. */
export interface Posting {
  /** The identity of the order. */
  id: string
  body: string
  /** The amount in ten-thousandths; undefined if the service must refuse the body. */
  amount: bigint | undefined
  /** The optional fields, in the form of `fieldsOf`. */
  fields: string
  /** The index of the api that gets the body first. */
  api: number
  /** Whether the client waits for the final order. */
  waits: boolean
}

/** A request to cancel an order. */
export interface Cancelling {
  /** The identity of the order. */
  id: string
  /** The index of the api that gets the request first. */
  api: number
}

/** The requests that a client sends at the same time. */
export interface Arrival {
  /** The time after the start, in seconds. */
  at: number
  postings: Posting[]
  /** Orders to post with one request. Empty in most arrivals. */
  batch: Posting[]
  cancellings: Cancelling[]
}

/** The parameters of the load. */
export interface MixOptions {
  seed: number
  /** The average number of arrivals a second. */
  rate: number
  apis: number
}

/** The kinds of arrival, in percent. */
const SHARES = {
  single: 72,
  batch: 1,
  again: 8,
  twiceAtOnce: 3,
  laterConflict: 3,
  conflictAtOnce: 3,
  cancel: 3,
  cancelAtOnce: 3,
  bad: 4
}

/**
 * The number of orders before the first repetition. A process that has just started is slow. It may find a store
 * unavailable that is not, and then accept an order twice.
 */
const FIRST = 300

/** The least and the most orders of a batch. */
const BATCH = [1, 60] as const

/** The share of the clients that wait for the final order. */
const WAITING = 0.1

const MOST = 9_999_999_999n

/**
 * Draws arrivals from the seed without end, like requests of many independent clients. They do not depend on the
 * answers of the service.
 */
export function* createMix({ seed, rate, apis }: MixOptions): Generator<Arrival, never> {
  const random = createRandom(seed, 'load')
  let at = 0
  let orders = 0
  // Every fourth order is of the tenant, and has the same order id as the order before it.
  const idOf = (number: number) =>
    number % 4 === 0 ? `${TENANT}/chaos-${seed}-${number - 1}` : `chaos-${seed}-${number}`
  const anyApi = () => random.whole(0, apis - 1)
  const post = (number: number, variant: number, api = anyApi()): Posting => {
    const amount = amountOf(seed, number, variant)
    const fields = drawFields(seed, number, amount)
    const body = write(orderIdOf(idOf(number)), amount, fields, random)
    return {
      id: idOf(number),
      body,
      amount,
      fields: fieldsOf(JSON.parse(body)),
      api,
      waits: random.chance(WAITING)
    }
  }
  const later = () => {
    // Half of the repetitions repeat a recent order. The other half repeat any order.
    const recent = random.chance(0.5) ? Math.min(orders, 300) : orders
    return random.whole(orders - recent + 1, orders)
  }
  const only = (...postings: Posting[]) => ({ postings, batch: [], cancellings: [] })
  const drawBatch = () => {
    const api = anyApi()
    const draw = () => {
      const kind = random.next()
      if (kind < 0.1) return { ...drawBad(), api }
      return kind < 0.2 ? post(later(), 0, api) : post(++orders, 0, api)
    }
    return Array.from({ length: random.whole(...BATCH) }, draw).filter(isLine)
  }
  const drawBad = () => ({
    ...writeBad(`bad-${seed}-${random.whole(0, 1e9)}`, random),
    api: anyApi(),
    waits: false
  })
  const cancel = (number: number): Cancelling => ({ id: idOf(number), api: anyApi() })
  const draws: Record<keyof typeof SHARES, () => Omit<Arrival, 'at'>> = {
    batch: () => ({ postings: [], batch: drawBatch(), cancellings: [] }),
    bad: () => only(drawBad()),
    again: () => only(post(later(), 0)),
    laterConflict: () => only(post(later(), random.whole(1, 2))),
    twiceAtOnce: () => only(post(++orders, 0), post(orders, 0)),
    conflictAtOnce: () => only(post(++orders, 0), post(orders, 1)),
    cancel: () => ({ postings: [], batch: [], cancellings: [cancel(random.chance(0.7) ? orders : later())] }),
    cancelAtOnce: () => ({ postings: [post(++orders, 0)], batch: [], cancellings: [cancel(orders)] }),
    single: () => only(post(++orders, 0))
  }
  const deck = Object.entries(SHARES).flatMap(([kind, share]) =>
    Array<keyof typeof SHARES>(share).fill(kind as keyof typeof SHARES)
  )
  for (;;) {
    at += -Math.log(1 - random.next()) / rate
    yield { at, ...draws[orders < FIRST ? 'single' : random.pick(deck)]() }
  }
}

/** Returns the amount of an order (variant 0), or another amount to send under the same id (variants from 1). */
function amountOf(seed: number, number: number, variant: number): bigint {
  const random = createRandom(hash(`${seed}/${number}`), 'amount')
  const kind = random.next()
  let amount = BigInt(random.whole(1, 1_000_000)) * 100n
  if (kind < 0.3) amount = BigInt(random.whole(1, 9_999_999_000))
  else if (kind < 0.4)
    amount = BigInt(random.whole(0, 100_000)) * 50n + 25n // its tax is exactly half-way
  else if (kind < 0.42) amount = random.pick([1n, 2n, 3n, 28n, MOST - 5n, MOST - 3n])
  return amount + BigInt(variant) > MOST ? amount - BigInt(variant) : amount + BigInt(variant)
}

/** Writes a body with a random notation of the amount, so that a repetition may have another notation. */
function write(id: string, amount: bigint, fields: string, random: Random): string {
  const plain = toText(amount)
  const [whole, fraction = ''] = plain.split('.')
  const padded = `${whole}.${fraction.padEnd(random.whole(Math.max(1, fraction.length), 4), '0')}`
  const written = random.pick([plain, padded, `"${plain}"`, `"${padded}"`])
  return `{"order_id":"${id}","amount":${written}${fields}}`
}

function writeBad(id: string, random: Random): Omit<Posting, 'api' | 'waits'> {
  const amounts = [
    '0',
    '-5',
    '1.23456',
    '10000000000',
    '"12,5"',
    '"1e3"',
    '"-1"',
    '"0.00"',
    'null',
    '[1]',
    '""'
  ]
  const bodies = [
    ...amounts.map(amount => `{"order_id":"${id}","amount":${amount}}`),
    `{"order_id":"${id}"}`,
    '{"amount":12}',
    `{"order_id":"${id}","amount":12,"status":"completed"}`,
    `{"order_id":"${id}","amount":12.5,"currency":"JPY"}`,
    `{"order_id":"${id}","amount":12,"items":[{"sku":"a","quantity":1,"unit_price":11.9999}]}`,
    `{"order_id":"${id} x","amount":12}`,
    `{"order_id":"${id}${'x'.repeat(100)}","amount":12}`,
    '{"order_id":12,"amount":12}',
    `{"order_id":"${id}","amount":12`,
    `[{"order_id":"${id}","amount":12}]`,
    ''
  ]
  return { id, body: random.pick(bodies), amount: undefined, fields: '' }
}

/** Returns whether a body is one line of a batch that its client can find in the answer. */
function isLine({ body }: Posting): boolean {
  return body !== '' && !body.includes('\n')
}
