import type { Posting } from './mix.ts'
import { taxOn, toUnits } from './money.ts'

/** One POST of a good body, and what the client was told. Times in ms since the start of the process. */
export interface Attempt {
  amount: bigint
  api: string
  began: number
  /** Infinity while nothing came. */
  ended: number
  /** 0 while, or because, nothing came; `error` says why. */
  status: number
  error: string
}

/** Everything that clients sent and were told about one id. */
export interface Told {
  id: string
  attempts: Attempt[]
  /** The first answer that showed it finished: when that had come, and the document. */
  finished: { at: number; document: string } | undefined
  /** Answers of a time after `finished`, which showed it unfinished all the same. */
  regressions: { began: number; ended: number; source: string; document: string }[]
}

export const groups = ['lost', 'doubled', 'wrong'] as const
/** What a violation counts as. */
export type Group = (typeof groups)[number]

/** Something that must not be. `what` is one of few sentences; `detail` tells this case. */
export interface Violation {
  group: Group
  what: string
  id: string
  detail: string
}

/** What clients were told: filled by the load and the readers, judged by the checker. */
export interface Ledger {
  orders: Map<string, Told>
  /** Ids that got a 202 or a 200, in that order. */
  told: Told[]
  violations: Violation[]
  /** Notes an attempt before it leaves, so that whatever it causes is known to have been sent. */
  sending: (posting: Posting, amount: bigint, api: string) => { order: Told; attempt: Attempt }
  /** Notes the answer. */
  answered: (order: Told, attempt: Attempt, status: number, document: string) => void
  /** Notes a document that an answer showed; `began` is when its request was sent. */
  saw: (order: Told, document: string, began: number, source: string) => void
  violate: (group: Group, what: string, id: string, detail: string) => void
}

export function createLedger(): Ledger {
  const orders = new Map<string, Told>()
  const told: Told[] = []
  const known = new Set<string>()
  const violations: Violation[] = []
  const violate = (group: Group, what: string, id: string, detail: string) => {
    violations.push({ group, what, id, detail })
  }

  const saw = (order: Told, text: string, began: number, source: string) => {
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
    told,
    violations,
    violate,
    saw,
    sending: ({ id }, amount, api) => {
      let order = orders.get(id)
      if (!order) {
        order = { id, attempts: [], finished: undefined, regressions: [] }
        orders.set(id, order)
      }
      const attempt: Attempt = {
        amount,
        api,
        began: performance.now(),
        ended: Number.POSITIVE_INFINITY,
        status: 0,
        error: ''
      }
      order.attempts.push(attempt)
      return { order, attempt }
    },
    answered: (order, attempt, status, text) => {
      attempt.ended = performance.now()
      attempt.status = status
      if (status !== 200 && status !== 202) return
      if (!known.has(order.id)) told.push(order)
      known.add(order.id)
      if (toUnits(parse(text)?.amount) !== attempt.amount)
        violate('wrong', 'told of another order than the one sent', order.id, text)
      // A new order that is taken for an old one is not a view of the old one: the checker judges a second 202.
      if (status === 200) saw(order, text, attempt.began, `POST ${attempt.api}`)
    }
  }
}

interface Shown {
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

/** Why the document cannot be of that order, however the system stands; '' when it can. */
function faultOf(document: Shown | undefined, order: Told): string {
  if (!document) return 'no document'
  const amount = toUnits(document.amount)
  if (document.order_id !== order.id) return 'another id'
  if (amount === undefined || !order.attempts.some(attempt => attempt.amount === amount))
    return 'an amount that was never sent'
  if (document.status === 'processing')
    return document.tax === null && document.total === null ? '' : 'priced before it is finished'
  if (document.status !== 'completed') return `status ${document.status}`
  const tax = taxOn(amount)
  return toUnits(document.tax) === tax && toUnits(document.total) === amount + tax ? '' : 'a wrong price'
}
