let end: Promise<void> | undefined

/**
 * Resolves at the end of this turn of the event loop, for all who ask in it at once. Answers that need no store go out
 * together then, as those do that shared a round trip: one by one, each of them would wake whoever reads it, which costs
 * this process half as much again as the answer itself.
 */
export function endOfTurn(): Promise<void> {
  end ??= new Promise(resolve => {
    setImmediate(() => {
      end = undefined
      resolve()
    })
  })
  return end
}
