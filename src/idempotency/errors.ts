/** The header Idempotency-Key has no valid key. */
export class InvalidIdempotencyKey extends Error {
  override name = 'InvalidIdempotencyKey'
}

/** A request with this key is in progress. */
export class IdempotencyKeyInUse extends Error {
  override name = 'IdempotencyKeyInUse'

  constructor() {
    super('A request with this Idempotency-Key is in progress. Send the same request again later.')
  }
}

/** The caller has used this key for another request. */
export class IdempotencyKeyReused extends Error {
  override name = 'IdempotencyKeyReused'

  constructor() {
    super(
      'This Idempotency-Key was used for a request with another route, path, query or body. Use a new key for a new request.'
    )
  }
}
