import { once } from 'node:events'
import { createServer, type Server } from 'node:http'

/** Answers `GET /health/ready` for a worker that is ready. */
export async function serveReady(port: number): Promise<Server> {
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/health/ready' ? 200 : 404, { 'content-type': 'application/json' })
    response.end('{"status":"ok"}')
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}
