/**
 * The rooms of this repository, from the top floor to the ground. A file may import its own room and the floors below
 * it. Rooms on one floor know nothing of each other. A file belongs to the longest path that it begins with.
 */
export const FLOORS: string[][] = [
  ['test'],
  ['tools/bench'],
  ['tools/chaos'],
  ['tools/local'],
  ['cli', 'examples', 'src/main.ts'],
  ['handlers'],
  ['plugins'],
  ['src/app.ts'],
  ['src/boot'],
  ['src/http'],
  ['src/orders/accept', 'src/orders/process', 'src/orders/read', 'src/orders/recover'],
  ['src/orders/audit'],
  ['src/orders/tables'],
  ['src/orders'],
  ['src/streams/operate'],
  ['src/streams/consume'],
  ['src/streams/batch'],
  ['src/streams/dead-letters', 'src/streams/group', 'src/streams/outage'],
  ['src/streams/registry'],
  ['src/streams'],
  ['src/stores/mysql', 'src/stores/redis'],
  ['src/stores'],
  ['src/telemetry'],
  ['src/async'],
  ['schema']
]

/**
 * What a room may import beside itself, where that is less than all floors below it. The chaos checker shares no code
 * with the service, the command is a client of the API, and the bench measures the service from outside: it takes the
 * domain only so that the peers compute the same orders.
 */
export const NARROW: Record<string, string[]> = {
  cli: ['schema'],
  examples: ['schema', 'src/app.ts', 'src/stores', 'src/streams'],
  'tools/bench': [
    'schema',
    'src/app.ts',
    'src/http/validation.ts',
    'src/orders',
    'src/stores',
    'src/streams',
    'tools'
  ],
  'tools/chaos': ['tools/local'],
  'tools/local': ['schema', 'src/boot/stop-signals.ts']
}
