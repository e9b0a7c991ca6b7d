import type { FastifyReply } from 'fastify'

/** A limit of requests in one second, and what is left of it. */
export interface Quota {
  /** The name of the limit in the header fields: the limit of an address, of a caller or of a route. */
  policy: 'address' | 'caller' | 'route'
  /** Requests in a second. */
  limit: number
  /** Requests that are left. */
  left: number
  /** The time until the next second begins, in whole seconds. It is always 1, because the window is a second. */
  reset: 1
}

/** More requests were sent than a limit permits. The answer has the fields of the limit. */
export class QuotaExceeded extends Error {
  override name = 'QuotaExceeded'
  readonly statusCode = 429
  readonly quota: Quota

  constructor(quota: Quota) {
    super(
      `At most ${quota.limit} requests a second are served to one ${quota.policy === 'caller' ? 'caller' : 'client'}. Slow down and try again.`
    )
    this.quota = quota
  }
}

/**
 * Sets the fields RateLimit-Policy and RateLimit of draft-ietf-httpapi-ratelimit-headers-10: the quota in a window of
 * one second, and what remains of it.
 */
export function setQuotaFields(reply: FastifyReply, { policy, limit, left, reset }: Quota): void {
  reply.header('ratelimit-policy', `"${policy}";q=${limit};w=1`)
  reply.header('ratelimit', `"${policy}";r=${left};t=${reset}`)
}
