import type { MySQLPromisePool } from '@fastify/mysql'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import driver from 'mysql2'

declare module 'fastify' {
  interface FastifyInstance {
    /** mysql2 for functions, with the shape that @fastify/mysql documents for `promise: true`. */
    mysql: MySQLPromisePool
  }
}

/**
 * Adds `app.mysql` over the connections of `app.stores.mysql`. @fastify/mysql itself does not accept a pool, and needs
 * MySQL at the start (docs/decisions/0002-mysql-without-fastify-mysql.md).
 */
async function mysql(app: FastifyInstance) {
  const { client: pool } = app.stores.mysql
  app.decorate('mysql', {
    pool,
    query: pool.query.bind(pool),
    execute: pool.execute.bind(pool),
    getConnection: pool.getConnection.bind(pool),
    format: driver.format,
    escape: driver.escape,
    escapeId: driver.escapeId
  })
}

export default fp(mysql, { name: 'mysql', dependencies: ['stores'] })
