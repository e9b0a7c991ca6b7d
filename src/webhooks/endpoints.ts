import { randomBytes, randomUUID } from 'node:crypto'
import {
  type Delivery,
  type IssuedWebhookEndpoint,
  type NewWebhookEndpoint,
  TEST_EVENT,
  type WebhookEndpoint,
  type WebhookEndpointChange
} from '../../schema/http/webhook.ts'
import type { AddressGuard } from './address-guard.ts'
import type { DeliveryLog } from './delivery-log.ts'
import type { EndpointTable } from './endpoint-table.ts'
import { renderPayload } from './new-deliveries.ts'
import { newWebhookSecret } from './signature.ts'

/**
 * What a tenant does with its webhook endpoints. A call throws {StoreUnavailable} while a store that it needs is
 * unavailable, and {EndpointNotFound} for an id that the tenant does not have.
 */
export interface Endpoints {
  /**
   * Creates an endpoint. It receives every event of an order that is accepted from now on.
   * @throws {EndpointRefused} for a URL to which nothing is sent.
   * @throws {DnsUnavailable}
   * @throws {TooManyEndpoints}
   */
  create: (tenant: string, endpoint: NewWebhookEndpoint) => Promise<IssuedWebhookEndpoint>
  list: EndpointTable['list']
  read: EndpointTable['read']
  /** @throws {EndpointRefused} for a URL to which nothing is sent. @throws {DnsUnavailable} */
  change: (tenant: string, id: string, change: WebhookEndpointChange) => Promise<WebhookEndpoint>
  /** Makes a new secret. The one before still signs for `keep` ms. */
  rotate: (tenant: string, id: string, keep: number) => Promise<IssuedWebhookEndpoint>
  remove: EndpointTable['remove']
  /** Adds a test event, which only this endpoint receives. */
  test: (tenant: string, id: string) => Promise<Delivery>
}

/** The dependencies of the operations on endpoints. */
export interface EndpointsOptions {
  table: EndpointTable
  log: DeliveryLog
  guard: Pick<AddressGuard, 'check'>
  /** Resolves when every later event is kept for the function that adds it to the queues of endpoints. */
  keepEvents: () => Promise<void>
}

/** Creates the operations on webhook endpoints. */
export function createEndpoints({ table, log, guard, keepEvents }: EndpointsOptions): Endpoints {
  const issued = async (tenant: string, id: string, secret: string) => ({
    ...(await table.read(tenant, id)),
    secret
  })
  return {
    create: async (tenant, { url, events = null }) => {
      await guard.check(url)
      await keepEvents()
      const id = randomBytes(8).toString('hex')
      const secret = newWebhookSecret()
      await table.insert({ id, tenant, url, events, secret, created_at: new Date().toISOString() })
      return issued(tenant, id, secret)
    },
    list: table.list,
    read: table.read,
    change: async (tenant, id, change) => {
      await table.read(tenant, id)
      if (change.url !== undefined) await guard.check(change.url)
      await table.change(tenant, id, change)
      return table.read(tenant, id)
    },
    rotate: async (tenant, id, keep) => {
      const secret = newWebhookSecret()
      await table.rotate(tenant, id, secret, keep)
      return issued(tenant, id, secret)
    },
    remove: table.remove,
    test: async (tenant, id) => {
      await table.read(tenant, id)
      const time = new Date().toISOString()
      return log.add({
        endpoint_id: id,
        message_id: `test_${randomUUID()}`,
        type: TEST_EVENT,
        occurred_at: time,
        payload: renderPayload(TEST_EVENT, time, '{}')
      })
    }
  }
}
