import type { Config } from '../../schema/config/env.ts'

/** Returns the URL at which clients reach the service, without a slash at its end; '' for the root of any host. */
export function publicUrl({ PUBLIC_URL }: Pick<Config, 'PUBLIC_URL'>): string {
  return PUBLIC_URL.replace(/\/+$/, '')
}

/** Returns the path of the public URL, such as '/api'; '' for the root. */
export function publicPath(config: Pick<Config, 'PUBLIC_URL'>): string {
  const path = URL.parse(publicUrl(config))?.pathname ?? ''
  return path === '/' ? '' : path
}
