import { type ResolvedFunction, TerminalError } from '../function.ts'
import { type Delivery, SUSPECT_DELIVERIES } from '../group/delivery.ts'
import { type Decoded, UnknownVersion } from './decode.ts'
import { readableError } from './readable-error.ts'
import { done, failed, NO_EXTRAS, released, type Verdict } from './verdicts.ts'

/** The message was delivered again and again, and no worker survived to settle it. */
class CrashedError extends TerminalError {
  constructor(deliveries: number) {
    super(
      'crashed',
      `it was delivered ${deliveries} times without an outcome: it may kill the process that handles it`
    )
  }
}

/** A batch, split into what the handler gets and what needs no handler. */
export interface Triaged {
  /** Messages for the handler. */
  ready: Decoded[]
  verdicts: Verdict[]
}

/**
 * Decides which messages the handler gets. The others have their verdict at once: an unknown version is released to
 * others, an unwanted message is done, a faulty one has failed, and one that may have killed its workers is dead.
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

/** A suspect runs alone `attempts` times. After that it counts as the cause of the crashes. */
function crashed({ deliveries }: Delivery, { retry }: ResolvedFunction): Error | undefined {
  return deliveries >= SUSPECT_DELIVERIES + retry.attempts ? new CrashedError(deliveries - 1) : undefined
}

/** A filter that throws fails that one message. */
function isWanted({ message }: Decoded, { filter }: ResolvedFunction): boolean | Error {
  try {
    return !filter || Boolean(filter(message.body))
  } catch (error) {
    return readableError(error)
  }
}
