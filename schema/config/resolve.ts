import { envSchema } from 'env-schema'
import type { FastifySchemaValidationError } from 'fastify'
import { type Config, Env } from './env.ts'
import { FORMATS } from './formats.ts'

/** The environment is invalid, so the service cannot start. `faults` has one sentence for each variable. */
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

/** Describes one fault of `env-schema` in a sentence. The sentence has no values, because a value may be a secret. */
function describe(fault: FastifySchemaValidationError, environment: Record<string, unknown>): string {
  const name =
    fault.keyword === 'required' ? String(fault.params.missingProperty) : fault.instancePath.slice(1)
  const meaning = (Env.properties as Record<string, { description?: string }>)[name]?.description ?? ''
  if (fault.keyword === 'dependencies')
    return `${fault.params.missingProperty} is not set, and ${fault.params.property} needs it.`
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

/** The options of `env-schema` and @fastify/env. With them, both read only the `data` that the caller passes. */
export const envOptions = { schema: Env, env: false, ajv: { customOptions } }

/** Adds the formats of variables to the validator. */
function customOptions(ajv: { addFormat: (name: string, check: (text: string) => boolean) => unknown }) {
  for (const [name, { check }] of Object.entries(FORMATS)) ajv.addFormat(name, check)
  return ajv as never
}

/** Returns whether a value is not a number. The validator would accept some of these, such as ' ' and Infinity. */
function isMalformedNumber([name, value]: [string, unknown]): boolean {
  const { type } = (Env.properties as Record<string, { type?: string }>)[name] ?? {}
  return type === 'integer' && typeof value === 'string' && !/^-?\d{1,15}$/.test(value)
}

/**
 * Resolves the configuration from environment variables. Ignores variables that `Env` does not name.
 * @throws {ConfigError} with all faults.
 */
export function resolveConfig(environment: Record<string, unknown>): Config {
  const data = Object.fromEntries(
    Object.entries(environment).map(entry => (isMalformedNumber(entry) ? [entry[0], 'no number'] : entry))
  )
  let config: Config
  try {
    config = envSchema<Config>({ ...envOptions, data })
  } catch (error) {
    if (error instanceof Error && 'errors' in error)
      throw new ConfigError(
        (error.errors as FastifySchemaValidationError[]).map(fault => describe(fault, environment))
      )
    throw error
  }
  if (!config.REDIS_CLUSTER && !FORMATS.host?.check(config.REDIS_HOST))
    throw new ConfigError([`REDIS_HOST ${FORMATS.hosts?.expected}.`])
  if (config.REDIS_MIN_REPLICAS > 0 && config.REDIS_REPLICA_WAIT_MS >= config.STORE_TIMEOUT_MS)
    throw new ConfigError([
      `REDIS_REPLICA_WAIT_MS is ${config.REDIS_REPLICA_WAIT_MS}. It must be shorter than STORE_TIMEOUT_MS, which is ${config.STORE_TIMEOUT_MS}.`
    ])
  if (config.REDIS_CLUSTER && config.REDIS_SENTINELS !== undefined)
    throw new ConfigError(['REDIS_SENTINELS is set, and REDIS_CLUSTER is true: a cluster has no sentinels.'])
  return config
}
