/** What an `Authorization` header carries as it is: ASCII with no space at either end. As the source of a RegExp. */
export const TOKEN_PATTERN = '^[!-~]([ -~]*[!-~])?$'
