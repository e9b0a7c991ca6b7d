import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { useApp } from '../../harness/app.ts'
import { useSpace } from '../../harness/space.ts'

const space = await useSpace()

/** Starts a proxy that serves a port under /api/ and removes that prefix, as `proxy_pass` of nginx does. */
async function serveUnderPrefix(port: () => number): Promise<string> {
  const proxy = createServer((incoming, outgoing) => {
    const { method, headers, url = '' } = incoming
    if (!url.startsWith('/api/')) {
      outgoing.writeHead(404).end()
      return
    }
    const forwarded = request(
      { host: '127.0.0.1', port: port(), path: url.slice(4), method, headers },
      answer => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(outgoing)
      }
    )
    incoming.pipe(forwarded)
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  onTestFinished(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/api`
}

async function useAppUnderPrefix(env: (url: string) => Record<string, string> = () => ({})) {
  let port = 0
  const url = await serveUnderPrefix(() => port)
  const { app } = await useApp(space, 'api', { MAX_EVENT_LOOP_DELAY_MS: '0', ...env(url) })
  port = Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port)
  return url
}

const post = (url: string, order_id: string) =>
  fetch(`${url}/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ order_id, amount: 1 })
  })

test('the OpenAPI page loads its files and finds the service under a prefix that a proxy adds', async () => {
  const url = await useAppUnderPrefix()
  for (const page of ['/docs', '/docs/', '/docs/?from=mail', '/docs/static/index.html']) {
    const response = await fetch(url + page)
    const links = [...(await response.text()).matchAll(/(?:href|src)="([^"]+)"/g)]
    expect(links.length).toBeGreaterThan(4)
    for (const [, link] of links) {
      const file = await fetch(new URL(link as string, response.url))
      await file.body?.cancel()
      expect([page, file.url, file.status]).toEqual([
        page,
        expect.stringContaining(`${url}/docs/static/`),
        200
      ])
    }
  }
  for (const path of ['/openapi.json', '/docs/json']) {
    const response = await fetch(url + path)
    const { servers } = (await response.json()) as { servers: { url: string }[] }
    expect(servers.map(server => new URL(server.url, response.url).href)).toEqual([`${url}/`])
  }
})

test.each(['', '/'])('every URL in an answer begins with PUBLIC_URL, which may end with "%s"', async end => {
  const url = await useAppUnderPrefix(url => ({ PUBLIC_URL: url + end }))
  const location = (await post(url, `prefixed${end.length}`)).headers.get('location')
  expect(location).toBe(`${url}/orders/prefixed${end.length}`)
  expect((await fetch(location as string)).status).toBe(200)
  for (const path of ['/openapi.json', '/docs/json'])
    expect(await (await fetch(url + path)).json()).toMatchObject({ servers: [{ url }] })
  expect(await (await fetch(`${url}/orders/none?a=b`)).json()).toMatchObject({
    instance: '/api/orders/none'
  })
})
