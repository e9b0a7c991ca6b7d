import fc from 'fast-check'
import type { InjectOptions } from 'fastify'
import { brokenOf, type JsonSchema, type Resolve, valuesOf } from './values.ts'

/** An operation of the OpenAPI document, as far as the generator reads it. */
interface Operation {
  operationId: string
  parameters?: { name: string; in: 'path' | 'query' | 'header'; required?: boolean; schema: JsonSchema }[]
  requestBody?: { content: Record<string, { schema: JsonSchema }> }
}

/** The OpenAPI document, as far as the generator reads it. */
export interface Document {
  paths: Record<string, Record<string, Operation>>
  components?: { schemas?: Record<string, JsonSchema> }
}

/** After a release, the service does not use Redis any more. A stream does not end. */
const LEFT_OUT = new Set(['releaseRedis', 'streamOrder', 'streamOrderEvents'])

/** Generates requests over all operations of a document, valid and invalid, each with one of the `tokens` or without. */
export function requestsOf(document: Document, tokens: string[]): fc.Arbitrary<InjectOptions> {
  const resolve: Resolve = ref => document.components?.schemas?.[ref.split('/').at(-1) as string] ?? {}
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, { operationId }]) => !LEFT_OUT.has(operationId))
      .map(([method, operation]) => requestOf(path, method, operation, tokens, resolve))
  )
  return fc.oneof(...operations)
}

function requestOf(
  path: string,
  method: string,
  { parameters = [], requestBody }: Operation,
  tokens: string[],
  resolve: Resolve
): fc.Arbitrary<InjectOptions> {
  const named = parameters.map(({ name, in: place, required = false, schema }) =>
    fc
      .oneof({ weight: 4, arbitrary: valuesOf(schema, resolve) }, { weight: 1, arbitrary: fc.string() })
      .chain(value => (required ? fc.constant(value) : fc.option(fc.constant(value), { nil: undefined })))
      .map(value => ({ name, place, value }))
  )
  const content = Object.values(requestBody?.content ?? {})[0]
  const body = content
    ? valuesOf(content.schema, resolve).chain(valid =>
        fc.oneof(
          { weight: 5, arbitrary: fc.constant(JSON.stringify(valid)) },
          { weight: 3, arbitrary: brokenOf(valid).map(value => JSON.stringify(value) ?? '') },
          { weight: 1, arbitrary: fc.string() }
        )
      )
    : fc.constant(undefined)
  const mediaType = fc.oneof(
    { weight: 9, arbitrary: fc.constant('application/json') },
    { weight: 1, arbitrary: fc.constantFrom('text/plain', 'application/xml', 'json') }
  )
  const token = fc.option(fc.constantFrom(...tokens), { nil: undefined })
  return fc.record({ values: fc.tuple(...named), body, mediaType, token }).map(parts => {
    const at = (place: string) =>
      parts.values.filter(each => each.place === place && each.value !== undefined)
    let url = path
    // An empty part, `.` and `..` would name another path.
    for (const { name, value } of at('path'))
      url = url.replace(`{${name}}`, encodeURIComponent(String(value)).replace(/^\.*$/, 'x'))
    const query = new URLSearchParams(
      at('query').map(({ name, value }): [string, string] => [name, String(value)])
    )
    return {
      method: method.toUpperCase() as 'GET',
      url: query.size > 0 ? `${url}?${query}` : url,
      headers: {
        ...Object.fromEntries(at('header').map(({ name, value }) => [name, visible(String(value))])),
        ...(parts.token !== undefined && { authorization: `Bearer ${parts.token}` }),
        ...(parts.body !== undefined && { 'content-type': parts.mediaType })
      },
      ...(parts.body !== undefined && { payload: parts.body })
    }
  })
}

/** Returns a text as a header may have it. */
function visible(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').trim()
}
