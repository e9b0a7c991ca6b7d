import sensible from '@fastify/sensible'

/** Adds `app.httpErrors`, `app.assert` and the rest of @fastify/sensible. */
export default sensible
