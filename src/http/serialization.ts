import SerializerCompiler from '@fastify/fast-json-stringify-compiler'

/**
 * Builds the serializers of answers for Fastify's `schemaController`. Equal schemas get the same serializer: most answers
 * of most routes are problems, and building a serializer for each of them takes most of the time of a start.
 */
export const buildSerializer: ReturnType<typeof SerializerCompiler> = (externalSchemas, options) => {
  const build = SerializerCompiler()(externalSchemas, options)
  const built = new Map<string, ReturnType<typeof build>>()
  return route => {
    const key = JSON.stringify(route.schema)
    const known = built.get(key)
    if (known) return known
    const serializer = build(route)
    built.set(key, serializer)
    return serializer
  }
}
