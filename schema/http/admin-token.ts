/** The source of a RegExp for tokens that an `Authorization` header carries unchanged: ASCII, no space at either end. */
export const TOKEN_PATTERN = '^[!-~]([ -~]*[!-~])?$'
