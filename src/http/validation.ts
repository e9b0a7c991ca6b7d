import AjvCompiler from '@fastify/ajv-compiler'
import type { FastifySchemaValidationError } from 'fastify'
import { formats } from '../../schema/http/order.ts'

/** The validator removes, adds and converts nothing, and reports every fault. */
const STRICT = {
  removeAdditional: false,
  coerceTypes: false,
  useDefaults: false,
  allErrors: true,
  allowUnionTypes: true,
  formats,
  // A fault contains its schema. The description of the schema says what was expected.
  verbose: true
} as const

/**
 * Builds the validators of requests for Fastify's `schemaController`. A body is not converted. The URL and the headers
 * are text, so numbers and booleans in them are converted.
 */
export const buildValidator: ReturnType<typeof AjvCompiler> = externalSchemas => {
  const build = AjvCompiler()
  const strict = build(externalSchemas, { customOptions: STRICT })
  const converting = build(externalSchemas, {
    customOptions: { ...STRICT, coerceTypes: true, useDefaults: true }
  })
  return route => ((route as { httpPart?: string }).httpPart === 'body' ? strict(route) : converting(route))
}

/** The function that Ajv compiles from a schema. */
type Validate = ((value: unknown) => boolean) & { errors?: FastifySchemaValidationError[] | null }

/**
 * Compiles the schema of a body, for values that do not arrive as the body of a request. The result returns the faults
 * of a value; undefined when the value is valid.
 */
export function compileBody(schema: object): (value: unknown) => FastifySchemaValidationError[] | undefined {
  const validate = AjvCompiler()({}, { customOptions: STRICT })({ schema } as never) as unknown as Validate
  return value => (validate(value) ? undefined : (validate.errors ?? []))
}

/** Describes a validation fault for a client: where it is (JSON pointer, RFC 6901), and what was expected there. */
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
