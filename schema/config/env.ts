import { isIP } from 'node:net'
import { envSchema } from 'env-schema'
import type { FastifySchemaValidationError } from 'fastify'
import { type Static, Type } from 'typebox'
import { TOKEN_PATTERN } from '../http/admin-token.ts'

const port = (fallback: number, description: string) =>
  Type.Integer({ minimum: 0, maximum: 65535, default: fallback, description })

/**
 * Every environment variable the service reads: the one source of validation, defaults, types and of the table
 * in docs/configuration.md (a test compares them). Times are in milliseconds unless the name says seconds.
 */
export const Env = Type.Object({
  MODE: Type.Enum(['api', 'worker'], {
    description:
      'Which functions this process runs: `api` takes in and reads orders, `worker` processes them.'
  }),
  HOST: Type.String({
    default: '127.0.0.1',
    minLength: 1,
    format: 'host',
    description: 'Address to listen on. The container image sets `0.0.0.0`.'
  }),
  PORT: port(3000, 'Port to listen on, for orders, health and metrics. 0 takes a free one.'),

  REDIS_HOST: Type.String({
    default: '127.0.0.1',
    minLength: 1,
    format: 'host',
    description: 'Redis (or Valkey) host.'
  }),
  REDIS_PORT: port(6379, 'Redis port.'),
  REDIS_USERNAME: Type.String({ default: '', description: 'Redis ACL user; empty for the default user.' }),
  REDIS_PASSWORD: Type.String({ default: '', description: 'Redis password; empty for none.' }),
  REDIS_TLS: Type.Boolean({
    default: false,
    description: 'Connect to Redis over TLS, with the certificate verified.'
  }),

  DB_HOST: Type.String({
    default: '127.0.0.1',
    minLength: 1,
    format: 'host',
    description: 'MySQL (or MariaDB) host.'
  }),
  DB_PORT: port(3306, 'MySQL port.'),
  DB_USER: Type.String({
    default: 'orderstream',
    minLength: 1,
    description: 'MySQL user; it needs the rights to create tables in `DB_NAME`.'
  }),
  DB_PASSWORD: Type.String({ default: '', description: 'MySQL password; empty for none.' }),
  DB_NAME: Type.String({
    default: 'orderstream',
    minLength: 1,
    maxLength: 64,
    description: 'MySQL database; it must exist.'
  }),
  DB_TLS: Type.Boolean({
    default: false,
    description:
      'Connect to MySQL over TLS, with the certificate verified, and `DB_HOST` in it unless that is an IP address.'
  }),
  DB_POOL_SIZE: Type.Integer({
    minimum: 2,
    maximum: 500,
    default: 10,
    description: 'Most MySQL connections of one process for orders, one of them for probes.'
  }),
  DB_FUNCTION_POOL_SIZE: Type.Integer({
    minimum: 1,
    maximum: 500,
    default: 10,
    description:
      'Most MySQL connections of one process for `app.stores.mysql` in functions, beside those for orders; they are opened as they are used.'
  }),

  TAX_RATE: Type.String({
    pattern: '^(0(\\.\\d{1,6})?|1(\\.0{1,6})?)$',
    default: '0.18',
    description:
      'Tax rate from 0 to 1, at most six decimals. It is pinned into the order when it is accepted.'
  }),
  CACHE_TTL_SECONDS: Type.Integer({
    minimum: 1,
    maximum: 31_536_000,
    default: 3600,
    description:
      'How long the document of a finished order stays in Redis unread; a read renews that time once half of it has passed.'
  }),
  KEY_PREFIX: Type.String({
    pattern: '^[A-Za-z0-9_.-]{1,40}$',
    default: 'orderstream',
    description: 'First part of every Redis key.'
  }),
  STREAM_PARTITIONS: Type.Integer({
    minimum: 1,
    maximum: 256,
    default: 1,
    description:
      'Partitions the orders and events are spread over, each in one hash slot. It can change only while no order waits or is a dead letter, and be lowered only when no function has anything left in those that go. Give all processes the same: one that still runs with another count uses Redis no more, and accepts into MySQL, until it is started anew.'
  }),
  MAX_BACKLOG: Type.Integer({
    minimum: 1,
    default: 1_000_000,
    description:
      'Orders that may wait in Redis; beyond that a POST is answered 503 with `Retry-After`. A waiting order takes about 600 bytes.'
  }),
  LEASE_MS: Type.Integer({
    minimum: 500,
    maximum: 3_600_000,
    default: 30_000,
    description:
      'How long a worker may be silent before another takes over its messages. Of workers that run the same function, the longest holds for all.'
  }),

  ADMIN_TOKEN: Type.Optional(
    Type.String({
      minLength: 16,
      pattern: TOKEN_PATTERN,
      description:
        'Bearer token of `/admin/*`, at least 16 characters of ASCII, no space at either end; without it those routes do not exist.'
    })
  ),

  RATE_LIMIT_MAX: Type.Integer({
    minimum: 0,
    default: 50_000,
    description:
      'Requests a second that one client address may make, over all processes; 0 turns the limit off.'
  }),
  TRUST_PROXY: Type.String({
    default: '',
    format: 'addresses',
    description:
      'Addresses or CIDR ranges, comma separated, of the proxies whose `X-Forwarded-For` is believed; empty for none.'
  }),
  PUBLIC_URL: Type.String({
    default: '',
    format: 'base-url',
    description:
      'URL under which clients reach the service, as `https://example.com/api` behind a proxy that strips a prefix; `Location` and the OpenAPI document name it. Empty for the root of whatever host they name.'
  }),
  BODY_LIMIT_BYTES: Type.Integer({
    minimum: 256,
    maximum: 1_048_576,
    default: 16_384,
    description: 'Largest request body.'
  }),
  REQUEST_TIMEOUT_MS: Type.Integer({
    minimum: 100,
    maximum: 3_600_000,
    default: 10_000,
    description: 'How long a client may take to send its request.'
  }),
  STORE_TIMEOUT_MS: Type.Integer({
    minimum: 50,
    maximum: 60_000,
    default: 400,
    description:
      'How long one call to Redis or MySQL may take that a client waits for, before the store counts as unavailable.'
  }),
  MAX_EVENT_LOOP_DELAY_MS: Type.Integer({
    minimum: 0,
    default: 1000,
    description: 'Mean event loop delay at which new requests are shed with 503; 0 turns shedding off.'
  }),
  DRAIN_DELAY_MS: Type.Integer({
    minimum: 0,
    maximum: 60_000,
    default: 500,
    description: 'After SIGTERM, how long to go on serving while `/health/ready` already answers 503.'
  }),
  SHUTDOWN_GRACE_MS: Type.Integer({
    minimum: 1000,
    maximum: 3_600_000,
    default: 15_000,
    description: 'After that delay, how long work in flight may take before the process ends regardless.'
  }),

  NODE_ENV: Type.Enum(['production', 'development', 'test'], {
    default: 'production',
    description: '`development` gives readable logs at level `debug`.'
  }),
  LOG_LEVEL: Type.Optional(
    Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
      description: 'Least level that is logged; `info` by default, `debug` in development.'
    })
  )
})

/** The resolved configuration, as `buildApp` takes it. */
export type Config = Static<typeof Env>

/** The environment does not describe a service that could start: `faults` has one sentence for each variable. */
export class ConfigError extends Error {
  override name = 'ConfigError'
  readonly faults: string[]

  constructor(faults: string[]) {
    super(
      `The configuration has ${faults.length === 1 ? 'a fault' : `${faults.length} faults`}:\n${faults.map(fault => `  - ${fault}`).join('\n')}`
    )
    this.faults = faults
  }
}

/** What a value has to be that does not match its format, and the check of that. */
const FORMATS: Record<string, { expected: string; check: (text: string) => boolean }> = {
  addresses: {
    expected: 'must be a list of IP addresses or CIDR ranges with commas between them',
    check: text => text === '' || text.split(',').every(part => isRange(part.trim()))
  },
  'base-url': {
    expected: 'must be an http or https URL without a query or a fragment',
    check: text => text === '' || (/^https?:\/\/[^?#\s]+$/.test(text) && URL.canParse(text))
  },
  host: {
    expected: 'must be a name or an address alone, without a scheme, a port or brackets',
    check: text => isIP(text) !== 0 || !/[\s:/[\]]/.test(text)
  }
}

/** One fault of `env-schema` as a sentence; values are left out, since one of them may be a secret. */
function describe(fault: FastifySchemaValidationError, environment: Record<string, unknown>): string {
  const name =
    fault.keyword === 'required' ? String(fault.params.missingProperty) : fault.instancePath.slice(1)
  const meaning = (Env.properties as Record<string, { description?: string }>)[name]?.description ?? ''
  if (fault.keyword === 'required') return `${name} is not set and has no default. ${meaning}`
  if (fault.keyword === 'enum')
    return `${name} must be one of ${(fault.params.allowedValues as string[]).join(', ')}. ${meaning}`
  if (fault.keyword === 'format')
    return `${name} ${FORMATS[String(fault.params.format)]?.expected}. ${meaning}`
  const [, service, scheme] = /^(.+)_PORT=(\w+:\/\/)/.exec(`${name}=${environment[name]}`) ?? []
  if (service !== undefined)
    return `${name} must be a port number, and is an address (${scheme}…). Kubernetes sets it so where a Service is named ${service.toLowerCase()}: set ${name} in the environment of the container, or enableServiceLinks: false in the spec of the pod. ${meaning}`
  return `${name} ${fault.message}. ${meaning}`
}

/** How `env-schema`, and @fastify/env over it, resolve `Env`: from the `data` that they are handed, and nothing else. */
export const envOptions = { schema: Env, env: false, ajv: { customOptions } }

/** Adds our formats to those that the validator knows. */
function customOptions(ajv: { addFormat: (name: string, check: (text: string) => boolean) => unknown }) {
  for (const [name, { check }] of Object.entries(FORMATS)) ajv.addFormat(name, check)
  return ajv as never
}

function isRange(text: string): boolean {
  const [address = '', prefix, ...more] = text.split('/')
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1
  if (bits < 0 || more.length > 0) return false
  // Fastify takes no range of all addresses: whoever connects could say that it is anybody.
  return prefix === undefined || (/^[1-9]\d{0,2}$/.test(prefix) && Number(prefix) <= bits)
}

/** Whether the validator would take for a number what nobody means by one: ' ' for 0, or Infinity. */
function isNoNumber([name, value]: [string, unknown]): boolean {
  const { type } = (Env.properties as Record<string, { type?: string }>)[name] ?? {}
  return type === 'integer' && typeof value === 'string' && !/^-?\d{1,15}$/.test(value)
}

/**
 * Resolves the configuration from environment variables; what is not named in `Env` is ignored.
 * @throws {ConfigError} with every fault at once.
 */
export function resolveConfig(environment: Record<string, unknown>): Config {
  const data = Object.fromEntries(
    Object.entries(environment).map(entry => (isNoNumber(entry) ? [entry[0], 'no number'] : entry))
  )
  try {
    return envSchema<Config>({ ...envOptions, data })
  } catch (error) {
    if (error instanceof Error && 'errors' in error)
      throw new ConfigError(
        (error.errors as FastifySchemaValidationError[]).map(fault => describe(fault, environment))
      )
    throw error
  }
}
