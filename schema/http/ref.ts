import { type Static, type TSchema, Type } from 'typebox'

/** Refers to a schema by its `$id`, so that OpenAPI has it once, as a named component. */
export function ref<T extends TSchema>(schema: T) {
  return Type.Unsafe<Static<T>>({ $ref: `${(schema as { $id?: string }).$id}#` })
}
