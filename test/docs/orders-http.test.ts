import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import ajvFormats from 'ajv-formats'
import { beforeAll, expect, test } from 'vitest'
import { formats } from '../../schema/http/order.ts'
import { openApp } from '../harness/app.ts'
import { useSpace } from '../harness/space.ts'
import { read } from './pages.ts'
import { type FileRequest, readRequestFile } from './request-file.ts'

const space = await useSpace()
const requests = readRequestFile(await read('examples/orders.http'))

interface Parameter {
  name: string
  in: string
  required?: boolean
  schema: object
}

interface Operation {
  parameters?: Parameter[]
  requestBody?: { content: Record<string, object> }
  security?: object[]
}

/** An operation of the OpenAPI document, with its name and where its schemas are. */
interface Described extends Operation {
  name: string
  method: string
  path: string
  pointer: string
}

const ajv = new Ajv2020({ strict: false, coerceTypes: false })
ajvFormats.default(ajv)
for (const [name, format] of Object.entries(formats)) ajv.addFormat(name, format)
const converting = new Ajv2020({ strict: false, coerceTypes: true })
ajvFormats.default(converting)
for (const [name, format] of Object.entries(formats)) converting.addFormat(name, format)

let operations: Described[] = []

beforeAll(async () => {
  const { app, close } = await openApp(space, 'api', { ADMIN_TOKEN: 'a-token-for-the-tests' })
  const document = app.swagger() as unknown as { paths: Record<string, Record<string, Operation>> }
  ajv.addSchema(document, 'openapi')
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      ...operation,
      name: `${method.toUpperCase()} ${path}`,
      method: method.toUpperCase(),
      path,
      pointer: `openapi#/paths/${escapePart(path)}/${method}`
    }))
  )
  await close()
})

const escapePart = (part: string) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))
const patternOf = (path: string) => RegExp(`^${path.replaceAll(/\{\w+\}/g, '([^/]+)')}$`)
const parametersIn = (path: string) => path.match(/\{\w+\}/g)?.length ?? 0

/** Returns the operation of a request. A path without parameters goes before one with parameters, as in the router. */
function operationOf({ method, path }: FileRequest): Described {
  const [found] = operations
    .filter(each => each.method === method && patternOf(each.path).test(path))
    .toSorted((one, other) => parametersIn(one.path) - parametersIn(other.path))
  if (!found) throw new Error(`the api has no operation ${method} ${path}`)
  return found
}

/** Returns the values that a request has for the parameters in one place, by name. */
function valuesIn(place: string, request: FileRequest, operation: Described): Map<string, string> {
  if (place === 'query') return new Map(request.query)
  if (place === 'header') return request.headers
  const names = operation.path.match(/\{\w+\}/g) ?? []
  const values = patternOf(operation.path).exec(request.path)?.slice(1) ?? []
  return new Map(names.map((name, index) => [name.slice(1, -1), values[index] as string]))
}

test('examples/orders.http has every operation of the api once', () => {
  expect(requests.map(request => operationOf(request).name).toSorted()).toEqual(
    operations.map(({ name }) => name).toSorted()
  )
})

test('each body in examples/orders.http is valid, and is there when the operation needs one', () => {
  for (const request of requests) {
    const { name, requestBody, pointer } = operationOf(request)
    expect([name, request.body !== undefined]).toEqual([name, requestBody !== undefined])
    if (request.body === undefined) continue
    const mediaType = request.headers.get('content-type') ?? 'none'
    expect([name, Object.keys(requestBody?.content ?? {})]).toEqual([
      name,
      expect.arrayContaining([mediaType])
    ])
    const schema = `${pointer}/requestBody/content/${escapePart(mediaType)}/schema`
    const validate = ajv.getSchema(schema) as ValidateFunction
    expect([name, validate(JSON.parse(request.body)), validate.errors]).toEqual([name, true, null])
  }
})

test('each parameter in examples/orders.http is one of its operation, and is valid', () => {
  for (const request of requests) {
    const operation = operationOf(request)
    const { name, parameters = [] } = operation
    const known = parameters.filter(each => each.in === 'query').map(each => each.name)
    expect([name, [...request.query.keys()].filter(each => !known.includes(each))]).toEqual([name, []])
    for (const parameter of parameters) {
      const values = valuesIn(parameter.in, request, operation)
      const value = values.get(parameter.in === 'header' ? parameter.name.toLowerCase() : parameter.name)
      if (value === undefined) {
        expect([name, parameter.name, parameter.required ?? false]).toEqual([name, parameter.name, false])
        continue
      }
      const validate = converting.compile({ type: 'object', properties: { value: parameter.schema } })
      expect([name, parameter.name, validate({ value })]).toEqual([name, parameter.name, true])
    }
  }
})

test('each request in examples/orders.http has a token when its operation needs one, and an Idempotency-Key where it can', () => {
  for (const request of requests) {
    const { name, security = [], parameters = [] } = operationOf(request)
    expect([name, request.headers.has('authorization')]).toEqual([name, security.length > 0])
    const keyed = parameters.some(each => each.name === 'Idempotency-Key')
    expect([name, request.headers.has('idempotency-key')]).toEqual([name, keyed])
  }
})
