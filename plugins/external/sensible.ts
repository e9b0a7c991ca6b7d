import sensible from '@fastify/sensible'

/** Adds `app.httpErrors`, `app.assert` and their kin, as @fastify/sensible documents them. */
export default sensible
