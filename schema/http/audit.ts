import { type Static, Type } from 'typebox'

const Count = (description: string) => Type.Integer({ description })

/** What became of every order that was ever accepted. */
export const Audit = Type.Object(
  {
    timestamp: Type.String({ format: 'date-time' }),
    accepted: Count('Accepted, in Redis and in MySQL.'),
    duplicates: Count(
      'Accepted a second time, with the same body, when a reply was lost or a store was away.'
    ),
    completed: Count('Rows.'),
    failed: Count('Rows.'),
    in_flight: Count('Messages and rows that wait to be processed, or are being processed.'),
    retrying: Count('Messages that wait for another attempt.'),
    conflicts: Count('Dead letters that name a known id with another body.'),
    lost: Count(
      'Accepted orders that Redis has lost and that MySQL does not have. Exact while an api lives that saw the last of them; else as far as MySQL has seen.'
    ),
    dead_letters: Count(
      'All dead letters of the orders’ function; those in conflict and those of failed orders are in the figures above.'
    ),
    difference: Type.Integer({
      description:
        'accepted − duplicates − (completed + failed + in_flight + retrying + conflicts + lost): 0 at rest. Above 0: orders are missing. Below 0: orders moved on while it was read.'
    }),
    lost_unacknowledged: Count('Of the lost orders, those that no operator has acknowledged.'),
    redis_lost_data: Type.Boolean({
      description:
        'Whether a counter in Redis fell behind what was seen of it (a flush, a failover, an old backup), and no operator has acknowledged that.'
    })
  },
  {
    $id: 'Audit',
    description:
      'Proof that nothing is lost. While orders flow, one that moves on may be counted twice, and is never left out.'
  }
)
export type Audit = Static<typeof Audit>

/** Body of `POST /admin/audit/acknowledge`. */
export const AcknowledgeLoss = Type.Object(
  {
    reason: Type.String({
      minLength: 1,
      maxLength: 500,
      description: 'What is known of the loss; it is kept.'
    })
  },
  { $id: 'AcknowledgeLoss', additionalProperties: false, description: 'That an operator knows of a loss.' }
)
export type AcknowledgeLoss = Static<typeof AcknowledgeLoss>

export const Acknowledged = Type.Object(
  { lost: Type.Integer({ description: 'How many lost orders are acknowledged now.' }) },
  { $id: 'Acknowledged', description: 'What was acknowledged.' }
)
export type Acknowledged = Static<typeof Acknowledged>
