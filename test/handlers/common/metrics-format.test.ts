import { afterAll, beforeAll, expect, test } from 'vitest'
import { openApp, type TestApp } from '../../harness/app.ts'
import { useSpace } from '../../harness/space.ts'

const space = await useSpace()
let api: TestApp

beforeAll(async () => {
  api = await openApp(space, 'api')
})
afterAll(() => api.close())

const formFor = async (accept: string) => {
  const { headers } = await api.call({ url: '/metrics', headers: { accept } })
  expect(headers.vary).toBe('Accept')
  return String(headers['content-type']).split(';', 1)[0]
}

test.each([
  'text/plain',
  'Text/Plain',
  'text/*',
  'TEXT/PLAIN; Charset=UTF-8',
  'application/json;q=0, */*',
  'application/json;q=0.2, text/plain;q=0.9',
  'application/openmetrics-text; version=1.0.0, text/plain;q=0.5',
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.2',
  'application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2'
])('GET /metrics returns text for %s', async accept => {
  expect(await formFor(accept)).toBe('text/plain')
})

test.each([
  '*/*',
  'application/json, text/plain, */*',
  'APPLICATION/JSON',
  'text/plain;q=0',
  'text/plain;q=0, */*',
  'text/plain;q=0.5, application/json',
  'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'image/png',
  'nonsense',
  ''
])('GET /metrics returns JSON for "%s"', async accept => {
  expect(await formFor(accept)).toBe('application/json')
})
