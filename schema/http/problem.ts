import { type Static, Type } from 'typebox'
import { problemType, TYPE_DESCRIPTION } from './problem-types.ts'

/** The body of an error (RFC 9457). Its media type is `application/problem+json`. */
export const Problem = Type.Object(
  {
    type: Type.String({
      description: TYPE_DESCRIPTION,
      pattern: '^urn:orderstream:problem:[a-z-]+$',
      examples: [problemType('order-not-found')]
    }),
    title: Type.String({ description: 'The name of this kind of problem, for people.' }),
    status: Type.Integer({ minimum: 400, maximum: 599, description: 'The HTTP status.' }),
    detail: Type.String({ description: 'What went wrong this time, and what to do.' }),
    instance: Type.String({ description: 'The path of the request.' }),
    error_id: Type.String({ description: 'Id of this occurrence. The log has it, too.' }),
    retry_after: Type.Optional(
      Type.Integer({
        minimum: 0,
        description: 'In a batch: the seconds to wait before the next attempt, as `Retry-After` has them.'
      })
    ),
    'violated-policies': Type.Optional(
      Type.Array(Type.String(), {
        description: 'The limits that were exceeded, by their names in RateLimit-Policy.',
        examples: [['caller']]
      })
    ),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          pointer: Type.String({
            description: 'JSON pointer (RFC 6901) into the part of the request that is wrong.',
            examples: ['/amount']
          }),
          detail: Type.String({ description: 'What was expected there.' })
        }),
        { description: 'Every fault that validation found.' }
      )
    )
  },
  { $id: 'Problem', description: 'An error, after RFC 9457.' }
)
/** The body of an error (RFC 9457). */
export type Problem = Static<typeof Problem>
