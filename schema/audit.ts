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
    dead_letters: Count(
      'All dead letters of the orders’ function; those in conflict and those of failed orders are in the figures above.'
    ),
    difference: Type.Integer({
      description:
        'accepted − duplicates − (completed + failed + in_flight + retrying + conflicts): 0 at rest. Above 0: orders are missing. Below 0: orders moved on while it was read.'
    }),
    redis_lost_data: Type.Boolean({
      description:
        'Whether Redis’s counter is behind what MySQL has seen of it: Redis was flushed or failed over.'
    })
  },
  {
    $id: 'Audit',
    description:
      'Proof that nothing is lost. While orders flow, one that moves on may be counted twice, and is never left out.'
  }
)
export type Audit = Static<typeof Audit>
