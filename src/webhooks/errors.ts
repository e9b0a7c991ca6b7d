/** Webhooks cannot be sent to this URL. The message names the reason. */
export class EndpointRefused extends Error {
  override name = 'EndpointRefused'
}

/** The DNS has not answered for a host, so its URL can be neither accepted nor refused. */
export class DnsUnavailable extends Error {
  override name = 'DnsUnavailable'

  constructor(host: string, options?: ErrorOptions) {
    super(`The DNS has not answered for ${host}. Try again.`, options)
  }
}

/** The tenant has no endpoint with this id. */
export class EndpointNotFound extends Error {
  override name = 'EndpointNotFound'

  constructor(id: string) {
    super(`There is no webhook endpoint ${id}.`)
  }
}

/** The endpoint has no delivery with this id. */
export class DeliveryNotFound extends Error {
  override name = 'DeliveryNotFound'

  constructor(id: string) {
    super(`The log of the endpoint has no delivery ${id}.`)
  }
}

/** As many deliveries wait for the endpoint as may wait, so a caller adds no further one. */
export class EndpointQueueFull extends Error {
  override name = 'EndpointQueueFull'

  constructor(cap: number) {
    super(`At most ${cap} deliveries may wait for an endpoint. Send the request again when fewer wait.`)
  }
}

/** The tenant has as many endpoints as it may have. */
export class TooManyEndpoints extends Error {
  override name = 'TooManyEndpoints'

  constructor(most: number) {
    super(`A tenant may have ${most} webhook endpoints: delete one first.`)
  }
}
