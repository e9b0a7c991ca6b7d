import type { Config } from '../../schema/config/env.ts'

/** Where clients reach the service, without a slash at its end; '' when that is the root of whatever host they name. */
export function publicUrl({ PUBLIC_URL }: Pick<Config, 'PUBLIC_URL'>): string {
  return PUBLIC_URL.replace(/\/+$/, '')
}

/** The path of that, as '/api'; '' for the root. */
export function publicPath(config: Pick<Config, 'PUBLIC_URL'>): string {
  const path = URL.parse(publicUrl(config))?.pathname ?? ''
  return path === '/' ? '' : path
}
