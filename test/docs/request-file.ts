/** One request of a `.http` file. */
export interface FileRequest {
  method: string
  path: string
  query: URLSearchParams
  /** By lower-case names. */
  headers: Map<string, string>
  body: string | undefined
}

/** A line that sets a variable. */
const VARIABLE = /^@(\w+) = (.+)$/

/**
 * Reads a `.http` file in the form that VS Code REST Client and JetBrains HTTP Client share: `###` begins a request, `#`
 * a comment, `@name = value` sets a variable, and an empty line stands before the body.
 */
export function readRequestFile(text: string): FileRequest[] {
  const variables = new Map<string, string>()
  for (const line of text.split('\n')) {
    const [, name, value] = VARIABLE.exec(line) ?? []
    if (name !== undefined && value !== undefined) variables.set(name, value)
  }
  const filled = text.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = variables.get(name)
    if (value === undefined) throw new Error(`the variable ${name} is not set`)
    return value
  })
  return filled
    .split(/^###.*\n/m)
    .slice(1)
    .map(readRequest)
}

function readRequest(block: string): FileRequest {
  const lines = block.split('\n').filter(line => !/^(#|@)/.test(line))
  const [head = '', ...body] = lines.join('\n').trim().split('\n\n')
  const [first = '', ...fields] = head.split('\n')
  const [, method, address] = /^([A-Z]+) (\S+)$/.exec(first) ?? []
  if (method === undefined || address === undefined) throw new Error(`no request line: ${first}`)
  const { pathname, searchParams } = new URL(address)
  const headers = fields.map((field): [string, string] => {
    const [, name = '', value = ''] = /^([\w-]+): (.+)$/.exec(field) ?? []
    return [name.toLowerCase(), value]
  })
  return {
    method,
    path: decodeURIComponent(pathname),
    query: searchParams,
    headers: new Map(headers),
    body: body.length === 0 ? undefined : body.join('\n\n')
  }
}
