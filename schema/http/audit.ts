import { type Static, Type } from 'typebox'

const Count = (description: string) => Type.Integer({ description })

/** The outcomes of all orders that were ever accepted. */
export const Audit = Type.Object(
  {
    timestamp: Type.String({ format: 'date-time' }),
    accepted: Count('Accepted, in Redis and in MySQL.'),
    duplicates: Count(
      'Accepted a second time with the same body, after a lost reply or while a store was unavailable.'
    ),
    completed: Count('Rows of completed orders.'),
    failed: Count('Rows of failed orders.'),
    cancelled: Count('Rows of cancelled orders whose messages are settled.'),
    in_flight: Count('Messages and spilled rows that wait for a worker, or are being processed.'),
    retrying: Count('Messages that wait for another attempt.'),
    conflicts: Count('Dead letters of messages with a known id and another body.'),
    lost: Count(
      'Accepted orders that Redis has lost and MySQL does not have. Exact while an api runs that saw the last one, else as far as MySQL knows.'
    ),
    dead_letters: Count('All dead letters of orders. `conflicts` and `failed` count them, too.'),
    difference: Type.Integer({
      description:
        'accepted − duplicates − (completed + failed + cancelled + in_flight + retrying + conflicts + lost): 0 at rest. Above 0: orders are missing. Below 0: orders moved while they were counted.'
    }),
    lost_unacknowledged: Count('The lost orders that no operator has acknowledged.'),
    redis_lost_data: Type.Boolean({
      description:
        'Whether a counter in Redis fell behind (after a flush, a failover or an old backup) and no operator has acknowledged it.'
    })
  },
  {
    $id: 'Audit',
    description:
      'Proof that no order is lost. While orders are processed, one may be counted twice, but is never left out.'
  }
)
/** The outcomes of all orders that were ever accepted. */
export type Audit = Static<typeof Audit>

/** Body of `POST /admin/audit/acknowledge`. */
export const AcknowledgeLoss = Type.Object(
  {
    reason: Type.String({
      minLength: 1,
      maxLength: 500,
      description: 'What is known about the loss. It is stored.'
    })
  },
  { $id: 'AcknowledgeLoss', additionalProperties: false, description: 'Acknowledges a loss of data.' }
)
/** Body of `POST /admin/audit/acknowledge`. */
export type AcknowledgeLoss = Static<typeof AcknowledgeLoss>

/** Answer to `POST /admin/audit/acknowledge`. */
export const Acknowledged = Type.Object(
  { lost: Type.Integer({ description: 'How many lost orders are acknowledged now.' }) },
  { $id: 'Acknowledged', description: 'What was acknowledged.' }
)
/** Answer to `POST /admin/audit/acknowledge`. */
export type Acknowledged = Static<typeof Acknowledged>
