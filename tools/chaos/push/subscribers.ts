import type { Client } from '../client.ts'
import { type Authorize, identityOf, TENANT } from '../tenants.ts'
import { createFollower, type Follower } from './follower.ts'
import { type Receiver, startReceiver } from './receiver.ts'

/** The receivers: one that is quick, one that fails often, and one that is slow. */
const RECEIVERS = [
  { name: 'quick receiver', tenant: 'default', pause: 0, failEvery: 0 },
  { name: 'failing receiver', tenant: 'default', pause: 0, failEvery: 50 },
  { name: 'slow receiver', tenant: TENANT, pause: 20, failEvery: 0 }
]

/** The clients that get events during a whole run. */
export interface Subscribers {
  followers: Follower[]
  receivers: Receiver[]
  /** Resolves when all followers are connected. */
  connected: Promise<unknown>
  /** Follows the streams until aborted. */
  run: (signal: AbortSignal) => Promise<unknown>
  close: () => void
}

/**
 * Creates two followers of each tenant, which begin at different apis, and the receivers with their endpoints.
 * `ports` has the port of each api.
 */
export async function createSubscribers(
  clients: Client[],
  ports: Record<string, number>,
  authorize: Authorize
): Promise<Subscribers> {
  const headersOf = (tenant: string) => authorize(identityOf({ tenant, order_id: 'any' }))
  const apis = clients.map(({ name }) => ports[name] as number)
  const followers = ['default', TENANT].flatMap(tenant =>
    [apis, apis.toReversed()].map((order, index) =>
      createFollower({
        name: `follower ${index + 1} of ${tenant}`,
        tenant,
        headers: headersOf(tenant),
        ports: order
      })
    )
  )
  const client = clients[0] as Client
  const receivers = await Promise.all(
    RECEIVERS.map(each => startReceiver({ ...each, client, headers: headersOf(each.tenant) }))
  )
  return {
    followers,
    receivers,
    connected: Promise.all(followers.map(follower => follower.connected)),
    run: signal => Promise.all(followers.map(follower => follower.run(signal))),
    close: () => {
      for (const receiver of receivers) receiver.close()
    }
  }
}
