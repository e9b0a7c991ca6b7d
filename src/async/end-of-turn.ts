let end: Promise<void> | undefined

/**
 * Resolves at the end of this turn of the event loop, for all callers of the turn at once. Answers that need no store
 * are then sent together. When answers are sent one by one, each answer wakes its reader, which adds half to the cost
 * of the answer.
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
