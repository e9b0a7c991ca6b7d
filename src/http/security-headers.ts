import type { IncomingMessage, ServerResponse } from 'node:http'
import helmet from 'helmet'
import type { Config } from '../../schema/config/env.ts'

/**
 * The security headers of an API. No answer is a page, so nothing may be loaded or framed. Headers that only affect
 * pages are left out, and X-Frame-Options, because `frame-ancestors` replaces it. All answers have the same headers, so
 * they are made once.
 */
const httpHeaders = headersOf(false)

/** The same headers, and Strict-Transport-Security. */
const httpsHeaders = headersOf(true)

/**
 * Returns the security headers of all answers. Strict-Transport-Security is one of them only when clients reach the
 * service over HTTPS: plain HTTP must not have it (RFC 6797, section 7.2).
 */
export function securityHeaders({
  PUBLIC_URL
}: Pick<Config, 'PUBLIC_URL'>): Readonly<Record<string, string>> {
  return URL.parse(PUBLIC_URL)?.protocol === 'https:' ? httpsHeaders : httpHeaders
}

/** Returns the headers that helmet sets for any request. */
function headersOf(https: boolean): Record<string, string> {
  const middleware = helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] }
    },
    strictTransportSecurity: https,
    xFrameOptions: false,
    referrerPolicy: false,
    crossOriginOpenerPolicy: false,
    originAgentCluster: false,
    xDnsPrefetchControl: false,
    xDownloadOptions: false,
    xPermittedCrossDomainPolicies: false,
    xXssProtection: false
  })
  const headers: Record<string, string> = {}
  const response = {
    setHeader: (name: string, value: string) => {
      headers[name.toLowerCase()] = value
    },
    removeHeader: () => {}
  }
  middleware({} as IncomingMessage, response as unknown as ServerResponse, error => {
    if (error) throw error
  })
  return headers
}
