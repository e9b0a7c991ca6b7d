import { parseArgs } from 'node:util'
import { AdminError, createAdminClient } from './client.ts'
import { type Command, UsageError } from './command.ts'
import { commands } from './commands.ts'

const USAGE = `Usage: npm run admin -- <command> [options]

  audit                                  what became of every order
  audit acknowledge --reason TEXT        acknowledges a known loss of data
  dead-letters list [--after ID] [--limit N]
  dead-letters show ID
  dead-letters redrive ID... | --all [--rate N]
  dead-letters discard ID... --reason TEXT
  functions forget NAME                  removes a function that no worker runs any more
  redis release                          ends the use of the keys in Redis, before a move
  tax-rates list
  tax-rates set REGION RATE [--from TIME]
  keys list [--after ID] [--limit N]
  keys create --name NAME --scopes SCOPE,SCOPE [--tenant NAME] [--expires TIME] [--rate N]
  keys rotate ID [--keep SECONDS]        adds a secret; the previous one stays valid for a day
  keys revoke ID
  actions list [--after ID] [--limit N]  what operators changed

  --function NAME   the function of the dead letters (process-orders)
  --url URL         the URL of an api (ORDERSTREAM_URL, or http://127.0.0.1:3000)
  --token TOKEN     its ADMIN_TOKEN, or an API key with admin scopes (ADMIN_TOKEN of the environment)
  --reason TEXT     why: the log of admin actions keeps it
  --json            print JSON`

const options = {
  function: { type: 'string', default: 'process-orders' },
  url: { type: 'string', default: process.env.ORDERSTREAM_URL ?? 'http://127.0.0.1:3000' },
  token: { type: 'string', default: process.env.ADMIN_TOKEN ?? '' },
  after: { type: 'string', default: '' },
  limit: { type: 'string', default: '50' },
  rate: { type: 'string' },
  reason: { type: 'string' },
  from: { type: 'string' },
  name: { type: 'string' },
  tenant: { type: 'string' },
  scopes: { type: 'string' },
  expires: { type: 'string' },
  keep: { type: 'string' },
  all: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false }
} as const

try {
  const { values, positionals } = parse()
  const [name = '', action = ''] = positionals
  const key = name === 'audit' && action !== 'acknowledge' ? name : `${name} ${action}`
  const command: Command | undefined = commands[key]
  if (values.help || !command) {
    console.log(USAGE)
    process.exit(values.help ? 0 : 2)
  }
  const result = await command(createAdminClient(values.url, values.token), {
    ...values,
    ids: positionals.slice(key.split(' ').length)
  })
  if (values.json) console.log(JSON.stringify(result.data, null, 2))
  else console[result.failed ? 'error' : 'log'](result.text)
  if (result.failed) process.exitCode = 1
} catch (error) {
  if (!(error instanceof AdminError || error instanceof UsageError)) throw error
  console.error(error.message)
  process.exit(1)
}

function parse() {
  try {
    return parseArgs({ options, allowPositionals: true })
  } catch (cause) {
    throw new UsageError(`${(cause as Error).message}\n\n${USAGE}`, { cause })
  }
}
