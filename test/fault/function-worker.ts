import { setTimeout as delay } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import { Type } from 'typebox'
import { resolveConfig } from '../../schema/config/resolve.ts'
import { type App, buildApp } from '../../src/app.ts'
import type { StreamFunction } from '../../src/streams/function.ts'

/**
 * A worker process like that of `src/main.ts`, with one more function, which the variable FUNCTION names. The functions
 * record what they do in Redis, under `<KEY_PREFIX>:…`, for the test.
 */
const Body = Type.Object({ n: Type.Integer(), does: Type.String() })

const common = { schema: Body, retry: { attempts: 2, base: 10, max: 100 } }

/** `exit` exits at once. `throw-exit` throws at the first attempt and exits at the second one. */
function fragile({ config, stores: { redis } }: App): StreamFunction<typeof Body> {
  return {
    ...common,
    name: 'fragile',
    stream: 'fragile',
    batch: { size: 100, window: 5 },
    handler: async messages => {
      for (const { body, attempt } of messages) {
        if (body.does === 'exit' || (body.does === 'throw-exit' && attempt > 1)) process.exit(13)
      }
      const failed = messages
        .filter(({ body }) => body.does === 'throw-exit')
        .map(message => ({ message, cause: new Error('not this time') }))
      const done = messages.filter(({ body }) => body.does === 'work').map(({ body }) => body.n)
      if (done.length > 0) await redis.run(client => client.sadd(`${config.KEY_PREFIX}:done`, ...done))
      return { failed }
    }
  }
}

/** Works until the key `<KEY_PREFIX>:enough` exists. */
function slow(app: App): StreamFunction<typeof Body> {
  const { config } = app
  const { redis } = app.stores
  const enough = () => redis.run(client => client.exists(`${config.KEY_PREFIX}:enough`))
  return {
    ...common,
    name: 'slow',
    stream: 'slow',
    batch: { size: 5, window: 0 },
    timeout: 600_000,
    handler: async messages => {
      await record(app, 'begun', messages.length)
      while ((await enough()) === 0) await delay(50)
      await record(app, 'ended', messages.length)
    }
  }
}

/** Runs its first attempt until the attempt is aborted, and records the abort. */
function hanging(app: App): StreamFunction<typeof Body> {
  return {
    ...common,
    name: 'hanging',
    stream: 'hanging',
    batch: { size: 1, window: 0 },
    timeout: 1500,
    handler: async ([message], { signal }) => {
      await record(app, 'begun', 1)
      if (message && message.attempt > 1) return record(app, 'ended', 1)
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => record(app, 'aborted', 1).then(reject))
      })
    }
  }
}

/** Never returns, and ignores its abort signal. */
function stuck(app: App): StreamFunction<typeof Body> {
  return {
    ...common,
    name: 'stuck',
    stream: 'stuck',
    batch: { size: 1, window: 0 },
    concurrency: 2,
    timeout: 1000,
    handler: async () => {
      await record(app, 'begun', 1)
      await new Promise(() => {})
    }
  }
}

async function record({ config, redis }: App, what: string, count: number): Promise<void> {
  await redis.hincrby(`${config.KEY_PREFIX}:records`, what, count)
}

const functions: Record<string, (app: App) => StreamFunction<typeof Body>> = {
  fragile,
  slow,
  hanging,
  stuck
}

const config = resolveConfig(process.env)
const app = await buildApp(config)
const make = functions[process.env.FUNCTION ?? '']
if (!make) throw new Error('FUNCTION does not name a function of this file')
app.consume(make(app))
let failed = false
const { close } = closeWithGrace({ delay: config.SHUTDOWN_GRACE_MS, logger: app.log }, async () => {
  await app.close()
  if (failed) process.exit(1)
})
app.lifecycle.onFail(() => {
  failed = true
  close()
})
await app.listen({ host: config.HOST, port: config.PORT })
