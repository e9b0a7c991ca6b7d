import { Writable } from 'node:stream'
import { Ajv2020 } from 'ajv/dist/2020.js'
import ajvFormats from 'ajv-formats'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import { onTestFinished } from 'vitest'
import { type App, type AppOptions, buildApp } from '../../src/app.ts'
import { PATIENT, type Space } from './space.ts'

/** An app in this process, with its log. `call` and `post` check every answer against the OpenAPI document. */
export interface TestApp {
  app: App
  /** The log lines of the app so far. */
  log: Record<string, unknown>[]
  /** Sends a request. The answer must match the OpenAPI document. */
  call: (request: InjectOptions | string) => Promise<LightMyRequestResponse>
  /** Sends POST /orders with this body. */
  post: (body: unknown, headers?: Record<string, string>) => Promise<LightMyRequestResponse>
  close: () => Promise<void>
}

/**
 * Builds the service as `main` does, with the settings `PATIENT` unless `overrides` has others. `prepare` may add
 * routes and functions before the service becomes ready. The caller must close the app.
 */
export async function openApp(
  space: Space,
  mode: 'api' | 'worker',
  overrides: Record<string, unknown> = {},
  prepare: (app: App) => void = () => {},
  options: AppOptions = {}
): Promise<TestApp> {
  const log: Record<string, unknown>[] = []
  const logStream = new Writable({
    write: (chunk, _encoding, done) => {
      for (const line of String(chunk).trimEnd().split('\n')) log.push(JSON.parse(line))
      done()
    }
  })
  const app = await buildApp(space.config({ MODE: mode, ...PATIENT, ...overrides }), {
    logStream,
    ...options
  })
  prepare(app)
  await app.ready()
  const check = createCheck(app.swagger() as unknown as OpenApi)
  const call = async (request: InjectOptions | string) => {
    const options = typeof request === 'string' ? { url: request } : request
    const response = await app.inject(options)
    check(String(options.method ?? 'GET').toLowerCase(), String(options.url), response)
    return response
  }
  return {
    app,
    log,
    call,
    post: (body, headers = {}) =>
      call({
        method: 'POST',
        url: '/orders',
        headers: { 'content-type': 'application/json', ...headers },
        payload: typeof body === 'string' ? body : JSON.stringify(body)
      }),
    close: () => app.close()
  }
}

/** Does the same as `openApp`. The app closes when the running test ends. */
export async function useApp(...args: Parameters<typeof openApp>): Promise<TestApp> {
  const app = await openApp(...args)
  onTestFinished(() => app.close())
  return app
}

interface OpenApi {
  paths: Record<string, Record<string, { responses: Record<string, { content?: Record<string, unknown> }> }>>
}

/** The statuses of answers that the service may send before it checks the method. */
const BEFORE_ROUTING = new Set([400, 408, 429, 431, 501, 503])

/**
 * Checks answers against the document. For a known path with an unknown method, the answer must be a 405 problem that
 * names the known methods. For an unknown path, the answer must be a problem.
 */
function createCheck(document: OpenApi) {
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: true })
  ajvFormats.default(ajv)
  ajv.addSchema(document, 'openapi')
  // A path without parameters comes before a pattern that it matches.
  const paths = Object.keys(document.paths).toSorted((a, b) => a.split('{').length - b.split('{').length)
  const routes = paths.map(path => ({
    path,
    pattern: new RegExp(`^${path.replace(/\{[^}]+\}/g, '[^/]+')}$`)
  }))
  const escapePart = (part: string) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))

  return (method: string, url: string, response: LightMyRequestResponse) => {
    const known = routes.filter(({ pattern }) => pattern.test(url.split('?', 1)[0] as string))
    const mediaType = String(response.headers['content-type']).split(';', 1)[0] as string
    const operationOf = (path: string) =>
      document.paths[path]?.[method] ?? (method === 'head' ? document.paths[path]?.get : undefined)
    // `/orders/batch` is a path of its own, and also an order with this id.
    const { path = '' } = known.find(each => operationOf(each.path)) ?? {}
    const operation = operationOf(path)
    if (known.length > 0 && !operation)
      checkRefusal(
        known.flatMap(each => Object.keys(document.paths[each.path] ?? {})),
        response
      )
    let pointer = '/components/schemas/Problem'
    if (operation) {
      // A 204 and a 304 have no body. Every other answer has a body.
      const { statusCode: status } = response
      if ((status === 204 || status === 304) && operation.responses[status] && response.body === '') return
      if (!operation.responses[response.statusCode]?.content?.[mediaType]) {
        throw new Error(
          `${method} ${url} answered ${response.statusCode} ${mediaType}, which OpenAPI does not describe: ${response.body}`
        )
      }
      if (method === 'head') return
      pointer = `/paths/${escapePart(path)}/${method}/responses/${response.statusCode}/content/${escapePart(mediaType)}/schema`
    }
    if (method === 'head') return
    const validate = ajv.getSchema(`openapi#${pointer}`)
    for (const body of bodiesOf(mediaType, response)) {
      if (!validate?.(body))
        throw new Error(
          `${method} ${url} answered what its schema does not allow: ${ajv.errorsText(validate?.errors)}: ${response.body}`
        )
    }
  }
}

/** Returns what the schema of an answer describes: each line of NDJSON, or the whole body. */
function bodiesOf(mediaType: string, response: LightMyRequestResponse): unknown[] {
  if (mediaType.endsWith('ndjson')) return linesOf(response.body)
  return [mediaType.endsWith('json') ? response.json() : response.body]
}

/** Parses each line of NDJSON. */
export function linesOf<T = Record<string, unknown>>(text: string): T[] {
  return text
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))
}

/** Checks the answer to a method that the path does not support. */
function checkRefusal(methods: string[], { statusCode, headers }: LightMyRequestResponse): void {
  if (BEFORE_ROUTING.has(statusCode)) return
  const known = methods.flatMap(method => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]))
  const allowed = String(headers.allow).split(', ')
  if (statusCode !== 405 || allowed.sort().join() !== known.sort().join())
    throw new Error(
      `answered ${statusCode} with Allow: ${headers.allow}, where OpenAPI describes ${known.join(', ')}`
    )
}
