import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename, join } from 'node:path'
import type { Page } from 'playwright-core'
import { expect, onTestFinished, test } from 'vitest'
import type { Orderstream, WatchEvent } from '../../clients/typescript/src/index.ts'
import { startService } from '../harness/service.ts'
import { useSpace } from '../harness/space.ts'
import { startBrowser } from './browser.ts'
import { compileInto, makeFolder } from './package.ts'

const space = await useSpace()

/** What the page below has. */
interface PageGlobals {
  client: Orderstream
}

/** Serves a page with the compiled client library. Returns its origin. */
async function servePage(): Promise<{ origin: string; allow: (url: string) => void }> {
  const folder = await makeFolder()
  await compileInto(folder)
  let service = ''
  const server = createServer(async (request, response) => {
    const name = basename(request.url ?? '')
    if (name === '') {
      const script = `import { Orderstream } from './index.js'
        globalThis.client = new Orderstream({ url: '${service}', key: 'not-checked', retries: { base: 10, max: 50 } })`
      response.writeHead(200, { 'content-type': 'text/html' })
      response.end(`<!doctype html><title>Client</title><script type="module">${script}</script>`)
    } else if (name.endsWith('.js')) {
      response.writeHead(200, { 'content-type': 'text/javascript' })
      response.end(await readFile(join(folder, name)))
    } else response.writeHead(404).end()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    origin,
    allow: url => {
      service = url
    }
  }
}

/** Starts the service for the page, and opens the page. */
async function openPage(): Promise<Page> {
  const { origin, allow } = await servePage()
  const [api, , browser] = await Promise.all([
    startService(space, 'api', { CORS_ORIGINS: origin }),
    startService(space, 'worker'),
    startBrowser()
  ])
  allow(api.url)
  const page = await browser.newPage()
  const faults: unknown[] = []
  page.on('pageerror', error => faults.push(error))
  onTestFinished(() => expect(faults).toEqual([]))
  await page.goto(origin)
  await page.waitForFunction(() => 'client' in globalThis)
  return page
}

test('the client library works in a browser', { timeout: 90_000 }, async () => {
  const page = await openPage()

  const created = await page.evaluate(async () => {
    const { client } = globalThis as unknown as PageGlobals
    const order = { order_id: 'page-1', amount: '9.50', customer_id: 'page' }
    const first = await client.create(order)
    const final = await client.waitFor('page-1', { timeout: 20_000 })
    const again = await client.create(order, { wait: 1000 })
    return { first, final, again, read: await client.get('page-1') }
  })
  expect(created.first).toMatchObject({ replayed: false, durability: expect.any(String) })
  expect(created.final).toMatchObject({ order_id: 'page-1', amount: 9.5, status: 'completed' })
  expect(created.again).toEqual({ order: created.final, replayed: true, durability: undefined })
  expect(created.read).toEqual(created.final)

  const refused = await page.evaluate(async () => {
    const { client } = globalThis as unknown as PageGlobals
    const failed = await client.cancel('page-1').catch(error => error)
    return { name: failed.name, code: failed.code, status: failed.status, error_id: failed.error_id }
  })
  expect(refused).toEqual({
    name: 'OrderstreamError',
    code: 'order-final',
    status: 409,
    error_id: expect.any(String)
  })

  const many = await page.evaluate(async () => {
    const { client } = globalThis as unknown as PageGlobals
    const watch = client.watch({ customer_id: 'page-many' })
    const events: WatchEvent[] = []
    const watching = (async () => {
      for await (const event of watch) if (events.push(event) === 300) return
    })()
    while (watch.lastEventId === '') await new Promise(resolve => setTimeout(resolve, 10))
    async function* orders() {
      for (let number = 0; number < 300; number++)
        yield { order_id: `many-${number}`, amount: 1, customer_id: 'page-many' }
    }
    const results = []
    for await (const result of client.createMany(orders())) results.push(result)
    await watching
    return { results, events }
  })
  const ids = Array.from({ length: 300 }, (_, number) => `many-${number}`)
  expect(many.results).toEqual(ids.map((order_id, index) => ({ index, order_id, status: 202 })))
  const watched = many.events.map(event => (event.type === 'reset' ? 'reset' : event.order.order_id))
  expect(watched.toSorted()).toEqual(ids.toSorted())

  const listed = await page.evaluate(async () => {
    const { client } = globalThis as unknown as PageGlobals
    const found = new Set<string>()
    const deadline = Date.now() + 20_000
    // An order is in a list some seconds after it was accepted.
    while (found.size < 300 && Date.now() < deadline) {
      for await (const { order_id } of client.list({ customer_id: 'page-many' })) found.add(order_id)
      await new Promise(resolve => setTimeout(resolve, 100))
    }
    return [...found]
  })
  expect(listed.toSorted()).toEqual(ids.toSorted())
})
