import type { Problem } from '../../../schema/http/problem.ts'
import type { Acceptance } from '../../orders/accept/intake.ts'

/**
 * Renders the result of an order that was accepted now or before. An accepted id has no character to escape. The
 * document is a part of it only when the client wants it.
 */
export function renderAccepted(
  index: number,
  id: string,
  { document, durability }: Acceptance,
  representation: boolean
): string {
  const order = representation ? `,"order":${document}` : ''
  return `{"index":${index},"order_id":"${id}","status":${durability ? 202 : 200}${order}}\n`
}

/** Renders the result of an order that was refused. */
export function renderRefused(index: number, order_id: string | null, problem: Problem): string {
  return `${JSON.stringify({ index, order_id, status: problem.status, problem })}\n`
}
