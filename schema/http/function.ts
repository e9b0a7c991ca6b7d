import { type Static, Type } from 'typebox'
import { FunctionName } from '../config/function.ts'

/** Params of `/admin/functions/{function}`. */
export const FunctionParams = Type.Object({ function: FunctionName })

/** What was ended with a function. */
export const Forgotten = Type.Object(
  {
    function: FunctionName,
    groups: Type.Integer({ description: 'Groups that were destroyed, one for each stream and partition.' }),
    retries: Type.Integer({
      description: 'Messages that waited for another attempt, and are dead letters now.'
    })
  },
  { $id: 'Forgotten', description: 'What was ended with a function.' }
)
/** What was ended with a function. */
export type Forgotten = Static<typeof Forgotten>
