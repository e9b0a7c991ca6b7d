/** The tenant of an order that does not name a tenant. */
export const DEFAULT_TENANT = 'default'
