import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import https from 'node:https'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createAddressGuard } from '../../src/webhooks/address-guard.ts'
import { createSender, type SenderOptions } from '../../src/webhooks/deliver/send.ts'
import type { Resolve } from '../../src/webhooks/resolve.ts'
import { newWebhookSecret, signatureHeaders } from '../../src/webhooks/signature.ts'
import { listen, useConnectionCounter, useReceiver, verify } from './receiver.ts'

const never: Resolve = () => Promise.reject(new Error('no DNS query expected'))
const OPEN = createAddressGuard(true)
const staying = new AbortController().signal

/** Sends one request to a URL. */
const send = async (url: string, options: Partial<SenderOptions> = {}) => {
  const sender = createSender({ guard: OPEN, ...options })
  onTestFinished(sender.close)
  return sender.send({ url, headers: {}, body: '{}' }, staying)
}

describe('the sender', () => {
  test('sends a body with signatures that the public library verifies, one for each live secret', async () => {
    const [secret, previous] = [newWebhookSecret(), newWebhookSecret()]
    const { url, received } = await useReceiver(() => 204)
    const body = '{"type":"order.completed","data":{"note":"Zürich ✓"}}'
    const message = { id: 'test-001:completed', timestamp: Math.floor(Date.now() / 1000), body }
    const sender = createSender({ guard: OPEN })
    onTestFinished(sender.close)
    const headers = signatureHeaders(message, [secret, previous])
    expect(await sender.send({ url, headers, body }, staying)).toMatchObject({ status: 204, error: null })
    const [request] = received
    if (!request) throw new Error('nothing was received')
    for (const each of [secret, previous]) expect(verify(request, each)).toEqual(JSON.parse(body))
    expect(() => verify(request, newWebhookSecret())).toThrow()
    expect(() => verify({ ...request, body: `${body} ` }, secret)).toThrow()
    expect(request.headers['content-type']).toBe('application/json')
  })

  test('opens no connection to a forbidden address', async () => {
    const target = await useConnectionCounter()
    for (const host of ['127.0.0.1', 'localhost', '2130706433', '0x7f.1', '[::ffff:127.0.0.1]']) {
      const guard = createAddressGuard(false, async () => ['127.0.0.1'])
      const attempt = await send(`https://${host}:${target.port}/`, { guard })
      expect(attempt, host).toMatchObject({ status: null, error: 'FORBIDDEN_ADDRESS' })
    }
    expect(target.connections()).toBe(0)
  })

  test('opens no connection after the DNS has changed its answer', async () => {
    const target = await useConnectionCounter()
    const answers = [['93.184.215.14'], ['127.0.0.1'], ['93.184.215.14', '127.0.0.1']]
    const guard = createAddressGuard(false, async () => answers.shift() ?? [])
    const url = `https://rebind.example:${target.port}/`
    await guard.check(url)
    for (let attempt = 0; attempt < 2; attempt++)
      expect(await send(url, { guard })).toMatchObject({ status: null, error: 'FORBIDDEN_ADDRESS' })
    expect(target.connections()).toBe(0)
  })

  test('connects to the address that it has checked, and asks the DNS once for a connection', async () => {
    let queries = 0
    const { port, received } = await useReceiver(() => 200)
    const resolve: Resolve = async () => (queries++ === 0 ? ['127.0.0.1'] : ['127.0.0.2'])
    const guard = createAddressGuard(true, resolve)
    expect(await send(`http://shop.example:${port}/`, { guard })).toMatchObject({ status: 200 })
    expect(queries).toBe(1)
    expect(received).toHaveLength(1)
  })

  test('follows no redirect', async () => {
    const target = await useConnectionCounter()
    for (const status of [301, 302, 303, 307, 308]) {
      const { url } = await useReceiver((_request, response) => {
        response.writeHead(status, { location: `http://127.0.0.1:${target.port}/` }).end()
        return undefined
      })
      expect(await send(url)).toMatchObject({ status, error: null })
    }
    expect(target.connections()).toBe(0)
  })

  test('reads only the first bytes of an answer of 10 MB', async () => {
    let written = 0
    const { url } = await useReceiver((_request, response) => {
      response.writeHead(200)
      const chunk = Buffer.alloc(65_536)
      const write = () => {
        while (written < 10_000_000 && !response.destroyed) {
          written += chunk.length
          if (!response.write(chunk)) return void response.once('drain', write)
        }
        response.end()
      }
      write()
      return undefined
    })
    expect(await send(url)).toMatchObject({ status: 200, error: null })
    // The rest is what the buffers of the two sockets hold.
    expect(written).toBeLessThan(8_000_000)
  })

  test('ends an attempt without an answer after its time, and a slow body after a shorter time', async () => {
    const silent = await useReceiver(() => undefined)
    expect(await send(silent.url, { timeout: 200 })).toMatchObject({ status: null, error: 'TIMEOUT' })
    const mute = createServer(() => {})
    onTestFinished(() => void mute.close())
    const port = await listen(mute)
    expect(await send(`https://127.0.0.1:${port}/`, { timeout: 200 })).toMatchObject({ error: 'TIMEOUT' })
    const endless = await useReceiver((_request, response) => {
      response.writeHead(200).write('.')
      return undefined
    })
    const began = performance.now()
    expect(await send(endless.url, { answerTime: 100 })).toMatchObject({ status: 200 })
    expect(performance.now() - began).toBeLessThan(10_000)
  })

  test('waits for a slow DNS no longer than for an answer', async () => {
    const guard = createAddressGuard(false, () => new Promise(() => {}))
    expect(await send('https://slow.example/', { guard, timeout: 200 })).toMatchObject({ error: 'TIMEOUT' })
    const refused = createAddressGuard(false, never)
    expect(await send('https://none.example/', { guard: refused })).toMatchObject({ status: null })
  })

  test('reports a refused connection, a broken answer and a switch of protocols', async () => {
    const closed = await useReceiver(() => 200)
    const broken = createServer(socket => socket.end('HTTP/1.1 999999 what\r\n\r\n'))
    const switching = createServer(socket =>
      socket.once('data', () =>
        socket.write('HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n')
      )
    )
    for (const server of [broken, switching]) {
      const port = await listen(server)
      const attempt = await send(`http://127.0.0.1:${port}/`)
      expect(attempt.status).toBeNull()
      expect(attempt.error).toMatch(/^[A-Z_]+$/)
    }
    expect(await send('http://127.0.0.1:1/')).toMatchObject({ status: null, error: 'ECONNREFUSED' })
    expect(closed.received).toEqual([])
  })

  test('repeats a request at once when the host has just closed the idle connection', async () => {
    const { url, received } = await useReceiver(({ headers }, response) => {
      if (headers['x-number'] === '1') response.socket?.destroy()
      else response.writeHead(200).end()
      return undefined
    })
    const sender = createSender({ guard: OPEN })
    onTestFinished(sender.close)
    const numbered = (number: string) =>
      sender.send({ url, headers: { 'x-number': number }, body: '{}' }, staying)
    expect(await numbered('0')).toMatchObject({ status: 200 })
    // The repetition fails on a new connection, so it is not repeated again.
    expect(await numbered('1')).toMatchObject({ status: null, error: 'ECONNRESET' })
    expect(received).toHaveLength(3)
  })

  test('refuses a certificate of another host, and one of an unknown authority', async () => {
    const { key, cert } = certificateOf('other.example')
    const server = https.createServer({ key, cert }, (_request, response) => response.end())
    onTestFinished(() => server.closeAllConnections())
    const port = await listen(server)
    const guard = createAddressGuard(true, async () => ['127.0.0.1'])
    const unknown = await send(`https://other.example:${port}/`, { guard })
    expect(unknown).toMatchObject({ status: null, error: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
    const before = getCACertificates()
    setDefaultCACertificates([...before, cert])
    onTestFinished(() => setDefaultCACertificates(before))
    expect(await send(`https://other.example:${port}/`, { guard })).toMatchObject({ status: 200 })
    const wrong = await send(`https://shop.example:${port}/`, { guard })
    expect(wrong).toMatchObject({ status: null, error: 'ERR_TLS_CERT_ALTNAME_INVALID' })
  })

  test('returns the Retry-After of an answer', async () => {
    const { url } = await useReceiver((_request, response) => {
      response.writeHead(429, { 'retry-after': '7' }).end()
      return undefined
    })
    expect(await send(url)).toMatchObject({ status: 429, retryAfter: 7000 })
  })
})

/** Makes a certificate that signs itself. */
function certificateOf(name: string): { key: string; cert: string } {
  const dir = mkdtempSync(join(tmpdir(), 'orderstream-certificate-'))
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`]
  const made = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', cert]
  execFileSync('openssl', ['req', ...made, ...subject], { stdio: 'ignore' })
  const pair = { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
  rmSync(dir, { recursive: true })
  return pair
}
