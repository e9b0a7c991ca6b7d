import fc from 'fast-check'

/** A schema of the OpenAPI document, as far as the generator reads it. */
export interface JsonSchema {
  $ref?: string
  type?: string | string[]
  enum?: unknown[]
  examples?: unknown[]
  anyOf?: JsonSchema[]
  format?: string
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  exclusiveMinimum?: number
  maximum?: number
  items?: JsonSchema
  minItems?: number
  maxItems?: number
  uniqueItems?: boolean
  properties?: Record<string, JsonSchema>
  required?: string[]
  additionalProperties?: JsonSchema | boolean
  propertyNames?: JsonSchema
}

/** Resolves a `$ref` of the document. */
export type Resolve = (ref: string) => JsonSchema

/** The most entries of a generated list or map. More of them find no more faults. */
const MOST = 5

/** Generates values that match a schema, except for rules that a schema cannot state. */
export function valuesOf(schema: JsonSchema, resolve: Resolve): fc.Arbitrary<unknown> {
  if (schema.$ref !== undefined) return valuesOf(resolve(schema.$ref), resolve)
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map(each => valuesOf(each, resolve)))
  const types = [schema.type ?? 'string'].flat()
  const generated = fc.oneof(...types.map(type => ofType(type, schema, resolve)))
  if (!schema.examples) return generated
  // Requests with equal values meet: the second one names what the first one made.
  return fc.oneof(fc.constantFrom(...schema.examples), generated)
}

function ofType(type: string, schema: JsonSchema, resolve: Resolve): fc.Arbitrary<unknown> {
  if (type === 'null') return fc.constant(null)
  if (type === 'boolean') return fc.boolean()
  if (type === 'integer') return fc.integer(rangeOf(schema))
  if (type === 'number') return numbersOf(schema)
  if (type === 'array') {
    const { items = {}, minItems = 0, maxItems = MOST, uniqueItems } = schema
    const bounds = { minLength: minItems, maxLength: Math.max(minItems, Math.min(maxItems, MOST)) }
    const each = valuesOf(items, resolve)
    return uniqueItems ? fc.uniqueArray(each, bounds) : fc.array(each, bounds)
  }
  return type === 'object' ? objectsOf(schema, resolve) : textsOf(schema)
}

function rangeOf({ minimum = -1000, maximum = 1_000_000 }: JsonSchema): { min: number; max: number } {
  return { min: Math.ceil(minimum), max: Math.floor(maximum) }
}

/** Generates numbers with at most four decimals, as amounts have. */
function numbersOf({ minimum, exclusiveMinimum, maximum = 1_000_000 }: JsonSchema): fc.Arbitrary<number> {
  const least = exclusiveMinimum === undefined ? (minimum ?? 0) : exclusiveMinimum + 0.0001
  return fc
    .integer({ min: Math.ceil(least * 100), max: Math.floor(Math.min(maximum, 1e9) * 100) })
    .map(cents => cents / 100)
    .filter(value => value >= least)
}

function textsOf(schema: JsonSchema): fc.Arbitrary<string> {
  const { format, pattern, minLength = 0, maxLength = 50 } = schema
  if (format === 'amount') return numbersOf({ ...schema, exclusiveMinimum: 0 }).map(String)
  if (format === 'date-time') return fc.date({ noInvalidDate: true, min: new Date(0) }).map(toIso)
  if (pattern === undefined || /\\p\{|\(\?/.test(pattern))
    return fc.string({ minLength, maxLength: Math.max(minLength, Math.min(maxLength, 50)) })
  return fc.stringMatching(new RegExp(pattern))
}

/** Returns a time as RFC 3339 writes it: years have four digits. */
function toIso(date: Date): string {
  return date.getUTCFullYear() > 9999 ? '9999-12-31T23:59:59.000Z' : date.toISOString()
}

function objectsOf(schema: JsonSchema, resolve: Resolve): fc.Arbitrary<object> {
  const { properties = {}, required = [], additionalProperties, propertyNames } = schema
  if (typeof additionalProperties !== 'object') {
    const record = (names: string[]) =>
      fc.record(Object.fromEntries(names.map(name => [name, valuesOf(properties[name] ?? {}, resolve)])), {
        requiredKeys: required as never[]
      })
    // Rules between fields make most objects with all fields invalid.
    return fc.oneof(record(required), record(Object.keys(properties)))
  }
  const keys = valuesOf({ type: 'string', minLength: 1, ...propertyNames }, resolve) as fc.Arbitrary<string>
  return fc.dictionary(keys, valuesOf(additionalProperties, resolve), { maxKeys: MOST })
}

/** Generates values that break a value somewhere: another type, a missing or an unknown property, or no JSON value. */
export function brokenOf(value: unknown): fc.Arbitrary<unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return fc.jsonValue()
  const names = Object.keys(value)
  const unknown = fc.tuple(fc.string(), fc.jsonValue()).map(([name, each]) => ({ ...value, [name]: each }))
  if (names.length === 0) return unknown
  const changed = fc
    .tuple(fc.constantFrom(...names), fc.jsonValue())
    .map(([name, each]) => ({ ...value, [name]: each }))
  const missing = fc.constantFrom(...names).map(name => ({ ...value, [name]: undefined }))
  return fc.oneof(changed, missing, unknown, fc.jsonValue())
}
