import { anyRoute, problem, retryable } from './response.ts'

/** The parts of a route's schema that all /admin routes have. */
export const adminRoute = { tags: ['admin'] }

/** The errors of every /admin route. */
export const adminErrors = {
  429: retryable('Too many requests.'),
  ...anyRoute,
  503: retryable('A store that the request needs is unavailable. Try again.')
}

/** The errors of an /admin route that takes a body. */
export const bodyErrors = {
  413: problem('The body is too large.'),
  415: problem('The body is not JSON.')
}

/** The largest body of an /admin route, in bytes. The 1,000 ids that a request may name fit into it. */
export const ADMIN_BODY_LIMIT = 65_536
