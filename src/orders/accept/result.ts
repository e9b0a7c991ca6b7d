/**
 * Where an accepted order is stored: on the disk of Redis (`fsync`), in Redis and in REDIS_MIN_REPLICAS replicas
 * (`replicated`), on the disk of MySQL (`mysql`), or only in memory until the next sync to disk (`memory`).
 */
export type Durability = 'fsync' | 'replicated' | 'mysql' | 'memory'

/** The result for a candidate: accepted, the document of the existing order, or an error. */
export type Result = { accepted: Durability } | { document: string } | { error: Error }
