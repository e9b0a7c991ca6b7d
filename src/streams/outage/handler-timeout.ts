/** The handler did not finish within the function's timeout. */
export class HandlerTimeout extends Error {
  override name = 'HandlerTimeout'
}
