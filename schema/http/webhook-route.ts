import { anyRoute, retryable } from './response.ts'

/** The parts of a route's schema that all /webhook-endpoints routes have. */
export const webhookRoute = { tags: ['webhooks'] }

/** The errors of every /webhook-endpoints route. */
export const webhookErrors = {
  ...anyRoute,
  429: retryable('Too many requests.'),
  503: retryable('MySQL is unavailable. Try again.')
}
