import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { SERVICE_FUNCTIONS } from '../../src/orders/service-function.ts'
import { type ForgottenFunction, forgetFunction } from '../../src/streams/operate/forget.ts'
import { unmarkEnded } from '../../src/streams/registry/ended-functions.ts'
import { type FunctionState, readFunctionStates } from '../../src/streams/registry/function-states.ts'
import { createUnrunFinder, type Unrun } from '../../src/streams/registry/unrun.ts'
import { readUnsettled } from '../../src/streams/registry/unsettled.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The known functions of all processes. */
    functions: {
      /** Reads how many messages wait for each function. @throws {StoreUnavailable} while Redis is unavailable. */
      states: () => Promise<FunctionState[]>
      /** Returns the functions that no worker runs although messages wait for them. The result is some seconds old. */
      unrun: () => readonly Unrun[]
      /** Returns how many events each group has not settled. The result is some seconds old. */
      unsettled: () => ReadonlyMap<string, number>
      /**
       * Forgets a function that no worker runs any more. Resolves to undefined when the function does not exist.
       * @throws {FunctionInUse} while a worker runs the function, and for a function of the service.
       */
      forget: (name: string) => Promise<ForgottenFunction | undefined>
    }
  }
}

/** The interval at which the states of functions are read (ms). */
const READ_EVERY = 5000

/** `app.functions`: the messages that wait for the functions of all processes. */
async function functions(app: FastifyInstance) {
  const { keys, processes, streams } = app
  const { redis } = app.stores
  const findUnrun = createUnrunFinder()
  const states = () => readFunctionStates(redis, keys, SERVICE_FUNCTIONS)
  let unrun: readonly Unrun[] = []
  let unsettled: ReadonlyMap<string, number> = new Map()

  app.decorate('functions', {
    states,
    unrun: () => unrun,
    unsettled: () => unsettled,
    forget: name =>
      forgetFunction(
        { redis, keys, starts: streams.starts, processes, serviceFunctions: SERVICE_FUNCTIONS },
        name
      )
  })
  // Read in the background, because health must not wait for it.
  app.repeat({
    name: 'unsettled',
    every: READ_EVERY,
    run: async () => {
      const own = streams.consumers.map(({ definition }) => definition)
      await unmarkEnded(redis, keys, own, processes.hasOlder())
      unrun = findUnrun(await states(), processes.isRun())
      unsettled = await readUnsettled(redis, keys)
      return false
    }
  })
}

export default fp(functions, {
  name: 'functions',
  dependencies: ['stores', 'processes', 'streams', 'background']
})
