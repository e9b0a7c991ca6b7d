import { type Static, Type } from 'typebox'
import { FunctionName } from '../config/function.ts'

/** Path parameters of `DELETE /admin/functions/:function`. */
export const FunctionParams = Type.Object({ function: FunctionName })

/** Answer to `DELETE /admin/functions/:function`. */
export const Forgotten = Type.Object(
  {
    function: FunctionName,
    groups: Type.Integer({
      description: 'Consumer groups that were removed, one for each stream and partition.'
    }),
    retries: Type.Integer({
      description: 'Messages that waited for another attempt. They are dead letters now.'
    })
  },
  { $id: 'Forgotten', description: 'What was removed with a function.' }
)
/** Answer to `DELETE /admin/functions/:function`. */
export type Forgotten = Static<typeof Forgotten>
