/**
 * The source of a RegExp for tokens that an `Authorization` header carries unchanged. They are ASCII and do not start
 * or end with a space.
 */
export const TOKEN_PATTERN = '^[!-~]([ -~]*[!-~])?$'
