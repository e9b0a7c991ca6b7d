import { fieldsOf } from './fields.ts'
import type { Posting } from './mix.ts'
import { taxOn, toUnits } from './money.ts'
import { orderIdOf } from './tenants.ts'

/** One POST of a valid body, and its answer. Times in ms since the start of the process. */
export interface Attempt {
  amount: bigint
  /** The optional fields, in the form of `fieldsOf`. */
  fields: string
  api: string
  began: number
  /** Infinity if there is no answer. */
  ended: number
  /** Whether the client waited for the final order. Its answer took longer. */
  waits: boolean
  /** 0 if there is no answer. `error` is the reason then. */
  status: number
  error: string
}

/** One request to cancel an order, and its answer. The fields have the meaning that they have in `Attempt`. */
export type CancelAttempt = Pick<Attempt, 'api' | 'began' | 'ended' | 'status'>

/** Every request and answer about one order. */
export interface OrderHistory {
  /** The identity of the order. */
  id: string
  attempts: Attempt[]
  cancels: CancelAttempt[]
  /** The first answer that showed the order finished: its time and its document. */
  finished: { at: number; document: string } | undefined
  /** Answers after `finished` that showed the order unfinished. */
  regressions: { began: number; ended: number; source: string; document: string }[]
}

/** The kinds of violation. */
export const groups = ['lost', 'doubled', 'wrong'] as const
/** One kind of violation. */
export type Group = (typeof groups)[number]

/** A violation of the rules of the service. `what` is the rule in a few words, and `detail` describes the case. */
export interface Violation {
  group: Group
  what: string
  id: string
  detail: string
}

/** Every request and answer. The load and the readers fill the ledger, and the checker checks it. */
export interface Ledger {
  orders: Map<string, OrderHistory>
  /** The orders that got a 202 or a 200, sorted by the time of the first of these answers. */
  acknowledged: OrderHistory[]
  violations: Violation[]
  /** Records an attempt before it is sent, because its effects may show before its answer. */
  sending: (posting: Posting, amount: bigint, api: string) => { order: OrderHistory; attempt: Attempt }
  /** Records the answer. */
  answered: (order: OrderHistory, attempt: Attempt, status: number, document: string) => void
  /** Records a request to cancel an order before it is sent. */
  cancelling: (id: string, api: string) => { order: OrderHistory; attempt: CancelAttempt }
  /** Records the answer to such a request. */
  cancelled: (order: OrderHistory, attempt: CancelAttempt, status: number, document: string) => void
  /** Records a document in an answer; `began` is when its request was sent. */
  saw: (order: OrderHistory, document: string, began: number, source: string) => void
  violate: (group: Group, what: string, id: string, detail: string) => void
}

/** Creates an empty ledger. */
export function createLedger(): Ledger {
  const orders = new Map<string, OrderHistory>()
  const acknowledged: OrderHistory[] = []
  const known = new Set<string>()
  const violations: Violation[] = []
  const violate = (group: Group, what: string, id: string, detail: string) => {
    violations.push({ group, what, id, detail })
  }

  const historyOf = (id: string): OrderHistory => {
    const known = orders.get(id)
    if (known) return known
    const order = { id, attempts: [], cancels: [], finished: undefined, regressions: [] }
    orders.set(id, order)
    return order
  }

  const saw = (order: OrderHistory, text: string, began: number, source: string) => {
    const ended = performance.now()
    const document = parse(text)
    const fault = faultOf(document, order)
    if (!document || fault) {
      violate('wrong', 'an answer that cannot be right', order.id, `${source}: ${fault}: ${text}`)
    } else if (document.status === 'processing') {
      if (order.finished && order.finished.at < began)
        order.regressions.push({ began, ended, source, document: text })
    } else if (!order.finished) {
      order.finished = { at: ended, document: text }
    } else if (order.finished.document !== text) {
      const detail = `${source}: ${text}, after ${order.finished.document}`
      violate('wrong', 'a finished order that changed', order.id, detail)
    }
  }

  return {
    orders,
    acknowledged,
    violations,
    violate,
    saw,
    cancelling: (id, api) => {
      const order = historyOf(id)
      const attempt = beginAttempt(api)
      order.cancels.push(attempt)
      return { order, attempt }
    },
    cancelled: (order, attempt, status, text) => {
      Object.assign(attempt, { ended: performance.now(), status })
      if (status !== 200) return
      if (parse(text)?.status === 'cancelled') saw(order, text, attempt.began, `cancel ${attempt.api}`)
      else violate('wrong', 'a cancel that returned another status', order.id, text)
    },
    sending: ({ id, fields, waits }, amount, api) => {
      const order = historyOf(id)
      const attempt: Attempt = { ...beginAttempt(api), amount, fields, waits, error: '' }
      order.attempts.push(attempt)
      return { order, attempt }
    },
    answered: (order, attempt, status, text) => {
      attempt.ended = performance.now()
      attempt.status = status
      if (status !== 200 && status !== 202) return
      if (!known.has(order.id)) acknowledged.push(order)
      known.add(order.id)
      if (toUnits(parse(text)?.amount) !== attempt.amount)
        violate('wrong', 'an answer with another order than the one sent', order.id, text)
      // A 202 must be for a new order, so it may show `processing`. It shows another status to a client that waited. The
      // checker checks a second 202.
      if (status === 200 || parse(text)?.status !== 'processing')
        saw(order, text, attempt.began, `POST ${attempt.api}`)
    }
  }
}

function beginAttempt(api: string): CancelAttempt {
  return { api, began: performance.now(), ended: Number.POSITIVE_INFINITY, status: 0 }
}

interface Shown extends Record<string, unknown> {
  order_id: string
  amount: number
  tax: number | null
  total: number | null
  status: string
}

function parse(text: string): Shown | undefined {
  try {
    const document = JSON.parse(text)
    return typeof document === 'object' && document !== null ? document : undefined
  } catch {
    return undefined
  }
}

/** Returns the reason why a document is wrong for its order in every state of the system; '' if it may be right. */
function faultOf(document: Shown | undefined, order: OrderHistory): string {
  if (!document) return 'no document'
  const amount = toUnits(document.amount)
  if (document.order_id !== orderIdOf(order.id)) return 'another id'
  if (amount === undefined || !order.attempts.some(attempt => attempt.amount === amount))
    return 'an amount that was never sent'
  if (!order.attempts.some(attempt => attempt.amount === amount && attempt.fields === fieldsOf(document)))
    return 'fields that were never sent'
  if (document.status === 'processing' || document.status === 'cancelled') {
    if (document.tax !== null || document.total !== null) return `priced although it is ${document.status}`
    return document.status === 'processing' || order.cancels.length > 0 ? '' : 'cancelled by nobody'
  }
  if (document.status !== 'completed') return `status ${document.status}`
  const tax = taxOn(amount)
  return toUnits(document.tax) === tax && toUnits(document.total) === amount + tax ? '' : 'a wrong price'
}
