import { type Client, NoReply } from '../client.ts'

/** The result of one order of a batch. `text` is its document or its problem. */
export interface LineResult {
  status: number
  text: string
}

/**
 * Posts orders as one batch of NDJSON. Returns the result of each order. An order without a result is undefined: the
 * answer was cut off before it. When the whole batch was refused, each result is the refusal.
 */
export async function postBatch(
  client: Client,
  bodies: string[],
  headers: Record<string, string>
): Promise<(LineResult | undefined)[]> {
  const asked = { ...headers, 'content-type': 'application/x-ndjson', prefer: 'return=representation' }
  let text: string
  try {
    const reply = await client.post('/orders/batch', bodies.join('\n'), asked)
    if (reply.status !== 200) return bodies.map(() => reply)
    text = reply.text
  } catch (error) {
    if (!(error instanceof NoReply)) throw error
    text = error.received
  }
  const results: (LineResult | undefined)[] = bodies.map(() => undefined)
  // The text after the last newline is incomplete.
  for (const line of text.split('\n').slice(0, -1)) {
    const { index, status, order, problem } = JSON.parse(line)
    results[index] = { status, text: order ? documentIn(line) : JSON.stringify(problem) }
  }
  return results
}

/** Returns the document in a result as it is written, because parsing could change its numbers. */
function documentIn(line: string): string {
  const member = '"order":'
  return line.slice(line.indexOf(member) + member.length, -1)
}
