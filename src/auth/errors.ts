import type { Scope } from '../../schema/http/key.ts'

/** The request has no valid credentials. The text is the same for each reason, so that it does not help to guess. */
export class Unauthorized extends Error {
  override name = 'Unauthorized'

  constructor() {
    super(
      'Send an API key, a JWT, or for /admin the ADMIN_TOKEN, as bearer token: `Authorization: Bearer …`.'
    )
  }
}

/** The caller is known and lacks the scope of the route. */
export class InsufficientScope extends Error {
  override name = 'InsufficientScope'
  readonly scope: Scope

  constructor(scope: Scope) {
    super(`The key lacks the scope ${scope}. Use a key that has it.`)
    this.scope = scope
  }
}

/** There is no key with this id. */
export class KeyNotFound extends Error {
  override name = 'KeyNotFound'

  constructor(id: string) {
    super(`There is no key ${id}.`)
  }
}

/** A key cannot be created or rotated with these values. The message names the reason. */
export class KeyRefused extends Error {
  override name = 'KeyRefused'
}

/** Too many callers with unknown keys wait for an answer of the stores. */
export class LookUpsFull extends Error {
  override name = 'LookUpsFull'
}

/** AUTH is on and no caller could have credentials, so the api must not start. */
export class NoKeySource extends Error {
  override name = 'NoKeySource'

  constructor() {
    super(
      'AUTH is on, and there is neither an ADMIN_TOKEN nor an API key nor a JWKS_URL, so nobody could use this api: set ADMIN_TOKEN and create a key with `npm run admin -- keys create --name NAME --scopes orders:write,orders:read`, or set AUTH=off to let every caller in.'
    )
  }
}

/** A route declares no scope, so the service must not start. */
export class ScopeMissing extends Error {
  override name = 'ScopeMissing'

  constructor(method: string, url: string) {
    super(
      `The route ${method} ${url} declares no scope. Add \`config: { scope: 'orders:read' }\` to it, or \`{ scope: 'none' }\` if every caller may use it.`
    )
  }
}

/** The keys of the OpenID provider cannot be read, so a JWT can be neither accepted nor refused. */
export class ProviderUnavailable extends Error {
  override name = 'ProviderUnavailable'

  constructor(options?: ErrorOptions) {
    super('The keys of the OpenID provider cannot be read. Try again.', options)
  }
}
