let end: Promise<void> | undefined

/**
 * Resolves at the end of this turn of the event loop, for all callers of the turn at once. Answers that need no store
 * then go out together. One by one, each answer would wake its reader, which adds half to its cost.
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
