import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { writeInVain } from '../src/orders/vain-write.ts'
import { createMysqlStore, type MysqlStore } from '../src/stores/mysql.ts'

declare module 'fastify' {
  interface FastifyInstance {
    mysql: MysqlStore
  }
}

/**
 * The MySQL of this process, with the schema brought up to date. One that is away does not stop the start: it is
 * used from when it answers.
 */
async function mysql(app: FastifyInstance) {
  const store = createMysqlStore(app.config, app.log, writeInVain)
  app.decorate('mysql', store)
  app.addHook('onClose', () => store.close())
  await store.start()
}

export default fp(mysql, { name: 'mysql' })
