import { type Static, type TSchema, Type } from 'typebox'

/** Refers to a schema by its `$id`. The OpenAPI document then has the schema only once, as a named component. */
export function ref<T extends TSchema>(schema: T) {
  return Type.Unsafe<Static<T>>({ $ref: `${(schema as { $id?: string }).$id}#` })
}
