import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { type Background, type BackgroundTask, createBackground } from '../../src/async/background.ts'
import { judgeTaskFailure } from '../../src/stores/task-failure.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Registers a task that repeats once the app is ready. */
    repeat: (task: BackgroundTask) => void
    /** Returns the reason of each task that a store refuses, by name. */
    refusedTasks: () => ReadonlyMap<string, string>
  }
}

/** Adds `app.repeat` for work beside requests and messages. */
async function background(app: FastifyInstance) {
  const tasks: (Background & Pick<BackgroundTask, 'name'>)[] = []
  app.decorate('repeat', task => {
    tasks.push({ name: task.name, ...createBackground(task, app.log, judgeTaskFailure) })
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
