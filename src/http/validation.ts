import AjvCompiler from '@fastify/ajv-compiler'
import type { FastifySchemaValidationError } from 'fastify'
import { formats } from '../../schema/http/order.ts'

/** Of what was parsed nothing is dropped, filled in or converted unseen, and every fault is told. */
const STRICT = {
  removeAdditional: false,
  coerceTypes: false,
  useDefaults: false,
  allErrors: true,
  allowUnionTypes: true,
  formats,
  // A fault comes with the schema that it is against, whose description says what was expected.
  verbose: true
} as const

/**
 * Validators for requests, as Fastify's `schemaController` takes them. A body is taken as it is; what comes in the
 * URL or in headers is text, so there numbers and booleans are converted.
 */
export const buildValidator: ReturnType<typeof AjvCompiler> = externalSchemas => {
  const build = AjvCompiler()
  const strict = build(externalSchemas, { customOptions: STRICT })
  const converting = build(externalSchemas, {
    customOptions: { ...STRICT, coerceTypes: true, useDefaults: true }
  })
  return route => ((route as { httpPart?: string }).httpPart === 'body' ? strict(route) : converting(route))
}

/** A validation fault as a client reads it: where (JSON pointer, RFC 6901) and what was expected there. */
export function describeFault(fault: FastifySchemaValidationError): { pointer: string; detail: string } {
  const { keyword, params, message } = fault
  if (keyword === 'required') return { pointer: child(fault, params.missingProperty), detail: 'is required' }
  if (keyword === 'additionalProperties') {
    return {
      pointer: child(fault, params.additionalProperty),
      detail: `the field ${String(params.additionalProperty)} is unknown`
    }
  }
  if (keyword === 'type')
    return {
      pointer: fault.instancePath,
      detail: `must be ${[params.type].flat().map(withArticle).join(' or ')}`
    }
  if (keyword === 'format' && params.format === 'amount')
    return { pointer: fault.instancePath, detail: 'must have at most four decimals' }
  if (keyword === 'pattern') {
    const { description } = (fault as { parentSchema?: { description?: string } }).parentSchema ?? {}
    if (description) return { pointer: fault.instancePath, detail: `is not valid. Expected: ${description}` }
  }
  return { pointer: fault.instancePath, detail: message ?? 'is not valid' }
}

function withArticle(noun: unknown): string {
  return `${/^[aeiou]/.test(String(noun)) ? 'an' : 'a'} ${noun}`
}

function child(fault: FastifySchemaValidationError, name: unknown): string {
  return `${fault.instancePath}/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`
}
