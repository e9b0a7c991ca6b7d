import { type ResolvedFunction, TerminalError } from '../function.ts'
import { type Delivery, SUSPECT_DELIVERIES } from '../group/delivery.ts'
import { type Decoded, UnknownVersion } from './decode.ts'
import { readableError } from './readable-error.ts'
import { done, failed, NO_EXTRAS, released, type Verdict } from './verdicts.ts'

/** The message was delivered many times, and no worker settled it. */
class CrashedError extends TerminalError {
  constructor(deliveries: number) {
    super(
      'crashed',
      `it was delivered ${deliveries} times without an outcome: it may kill the process that handles it`
    )
  }
}

/** A batch, split into messages for the handler and verdicts that need no handler. */
export interface Triaged {
  /** Messages for the handler. */
  ready: Decoded[]
  verdicts: Verdict[]
}

/**
 * Decides which messages the handler receives. Each other message has its verdict at once: a message of an unknown
 * version is released to other workers, a message that the filter excludes is done, a message with a fault has failed,
 * and a message that may have killed its workers is dead.
 */
export function triage(batch: Decoded[], definition: ResolvedFunction): Triaged {
  const triaged: Triaged = { ready: [], verdicts: [] }
  for (const decoded of batch) {
    const wanted = decoded.fault ?? crashed(decoded.delivery, definition) ?? isWanted(decoded, definition)
    if (wanted === true) triaged.ready.push(decoded)
    else if (wanted === false) triaged.verdicts.push(done(decoded, NO_EXTRAS))
    else if (wanted instanceof UnknownVersion) triaged.verdicts.push(released(decoded, 'others'))
    else triaged.verdicts.push(failed(decoded, wanted, definition))
  }
  return triaged
}

/** Returns an error for a suspect that has run alone `attempts` times: it counts as the cause of the crashes. */
function crashed({ deliveries }: Delivery, { retry }: ResolvedFunction): Error | undefined {
  return deliveries >= SUSPECT_DELIVERIES + retry.attempts ? new CrashedError(deliveries - 1) : undefined
}

/** Applies the filter to a message. A filter that throws fails only this message. */
function isWanted({ message }: Decoded, { filter }: ResolvedFunction): boolean | Error {
  try {
    return !filter || Boolean(filter(message.body))
  } catch (error) {
    return readableError(error)
  }
}
