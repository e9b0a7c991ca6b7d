/**
 * The layers of this repository, from top to bottom. A file may import from its own folder and from the layers below.
 * Folders in one layer do not import each other. If several paths contain a file, the longest path applies.
 */
export const LAYERS: string[][] = [
  ['test'],
  ['tools/bench'],
  ['tools/chaos'],
  ['tools/local'],
  ['cli', 'clients/typescript/src', 'examples', 'src/main.ts'],
  ['handlers'],
  ['plugins'],
  ['src/app.ts'],
  ['src/boot'],
  ['src/http'],
  ['src/webhooks/deliver'],
  ['src/auth', 'src/admin', 'src/idempotency', 'src/webhooks'],
  [
    'src/orders/accept',
    'src/orders/process',
    'src/orders/read',
    'src/orders/list',
    'src/orders/cancel',
    'src/orders/timeline',
    'src/orders/watch',
    'src/orders/recover'
  ],
  ['src/orders/audit'],
  ['src/orders/tax'],
  ['src/orders/tables'],
  ['src/orders'],
  ['src/streams/operate'],
  ['src/streams/consume', 'src/streams/fan-out'],
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
 * The folders that may not import from all lower layers, with the paths that they may import. The chaos checker uses no
 * code of the service. The client library runs without the service. The command `npm run admin` is a client of the API. The bench measures the service from outside,
 * and uses the domain only so that its peers compute the same orders.
 */
export const RESTRICTED: Record<string, string[]> = {
  cli: ['schema'],
  'clients/typescript/src': [],
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
