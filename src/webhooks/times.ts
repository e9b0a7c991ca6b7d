/** Converts ISO 8601 in UTC to the form of MySQL, without the Z. */
export function fromIso(iso: string): string {
  return iso.slice(0, -1)
}

/** Converts DATETIME text of MySQL to ISO 8601 in UTC. NULL stays null. */
export function toIso<T extends string | null>(datetime: T): T {
  return (datetime === null ? null : `${datetime.replace(' ', 'T')}Z`) as T
}
