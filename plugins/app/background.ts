import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { type Background, type BackgroundTask, createBackground } from '../../src/async/background.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Registers work that is done again and again from when the app is ready. */
    repeat: (task: BackgroundTask) => void
    /** The tasks that a store refuses, by name, and why. */
    refusedTasks: () => ReadonlyMap<string, string>
  }
}

/** `app.repeat`: work beside requests and messages. */
async function background(app: FastifyInstance) {
  const tasks: (Background & Pick<BackgroundTask, 'name'>)[] = []
  app.decorate('repeat', task => {
    tasks.push({ name: task.name, ...createBackground(task, app.log) })
  })
  app.decorate('refusedTasks', () => {
    const refused = new Map<string, string>()
    for (const { name, refusedBy } of tasks) {
      const reason = refusedBy()
      if (reason) refused.set(name, reason)
    }
    return refused
  })
  app.addHook('onReady', async () => {
    for (const task of tasks) task.start()
  })
  app.lifecycle.onDrain(() => Promise.all(tasks.map(task => task.stop())))
}

export default fp(background, { name: 'background', dependencies: ['lifecycle'] })
