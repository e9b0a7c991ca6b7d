let end: Promise<void> | undefined

/**
 * Resolves at the end of this turn of the event loop, for all callers of the turn at once. Answers that need no store
 * then go out together. Sent one by one, each would wake its reader, which costs this process half as much again as the
 * answer.
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
