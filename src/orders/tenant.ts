/** The tenant of orders that name none. */
export const DEFAULT_TENANT = 'default'
