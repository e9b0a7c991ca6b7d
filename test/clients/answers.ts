import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** One answer of the server. */
export type Answer = (response: ServerResponse, request: IncomingMessage) => void

/** A server that has one answer for each request, in order. The last answer is for all further requests, too. */
export async function startAnswers(...answers: Answer[]) {
  const times: number[] = []
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    const answer = answers[Math.min(requests.length, answers.length - 1)] as Answer
    times.push(performance.now())
    requests.push(request)
    answer(response, request)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, times, requests }
}

/** Answers with JSON. */
export function json(status: number, body: unknown, headers: Record<string, string> = {}): Answer {
  return response =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

/** Answers with a problem. */
export function problem(status: number, name: string, headers: Record<string, string> = {}): Answer {
  const body = {
    type: `urn:orderstream:problem:${name}`,
    title: `Title of ${name}.`,
    status,
    detail: 'Try again.',
    instance: '/orders',
    error_id: 'an-id'
  }
  return json(status, body, { 'content-type': 'application/problem+json', ...headers })
}

/** Closes the connection after a part of the body. */
export function cut(part: string, type = 'application/json'): Answer {
  return response => {
    response.writeHead(200, { 'content-type': type })
    response.write(part, () => setImmediate(() => response.destroy()))
  }
}

/** Closes the connection without an answer. */
export const hangUp: Answer = response => response.destroy()
