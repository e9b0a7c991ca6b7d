import type { DeadLetter, Dealt } from '../schema/http/dead-letter.ts'
import {
  type Arguments,
  type Command,
  type Outcome,
  onlyName,
  rejectNames,
  table,
  UsageError
} from './command.ts'
import { keyCommands } from './key-commands.ts'

/** Every command by its name. */
export const commands: Record<string, Command> = {
  'actions list': async (client, args) => {
    rejectNames(args.ids)
    const page = await client.actions(args.after, Number(args.limit))
    if (page.actions.length === 0) return { data: page, text: 'No operator has changed anything.' }
    const rows = page.actions.map(({ time, actor, action, status, reason, details }) => [
      time,
      actor,
      action,
      String(status ?? '-'),
      reason ?? '-',
      JSON.stringify(details)
    ])
    const more = page.next === '' ? '' : `\nMore: --after ${page.next}`
    return { data: page, text: table([['time', 'who', 'what', 'status', 'why', 'details'], ...rows]) + more }
  },
  audit: async (client, args) => {
    rejectNames(args.ids)
    const audit = await client.audit()
    return {
      data: audit,
      text: table(Object.entries(audit).map(([figure, value]) => [figure, String(value)]))
    }
  },
  'audit acknowledge': async (client, args) => {
    rejectNames(args.ids)
    if (!args.reason) throw new UsageError('Describe the loss with --reason.')
    const result = await client.acknowledge(args.reason)
    return { data: result, text: `${result.lost} lost orders acknowledged.` }
  },
  'dead-letters list': async (client, args) => {
    rejectNames(args.ids)
    const page = await client.list(args.function, args.after, Number(args.limit))
    if (page.dead_letters.length === 0) return { data: page, text: `${args.function} has no dead letters.` }
    const rows = page.dead_letters.map(row)
    const more = page.next === '' ? '' : `\nMore: --after ${page.next}`
    return { data: page, text: table([['id', 'code', 'attempts', 'last attempt', 'cause'], ...rows]) + more }
  },
  'dead-letters show': async (client, args) => {
    const deadLetter = await client.show(args.function, onlyName(args.ids, 'Name one dead letter.'))
    return { data: deadLetter, text: JSON.stringify(deadLetter, null, 2) }
  },
  'dead-letters redrive': async (client, args) => {
    if (args.all === args.ids.length > 0)
      throw new UsageError('Name the dead letters to redrive, or use --all.')
    const rate = args.rate === undefined ? undefined : Number(args.rate)
    const result = await client.redrive(args.function, args.all ? undefined : args.ids, rate, args.reason)
    return outcomeOf(args, result, `${result.count} sent back to ${args.function}.`)
  },
  'dead-letters discard': async (client, args) => {
    if (args.ids.length === 0 || !args.reason)
      throw new UsageError('Name the dead letters to discard, and the --reason.')
    const result = await client.discard(args.function, args.ids, args.reason)
    return outcomeOf(args, result, `${result.count} discarded.`)
  },
  'functions forget': async (client, args) => {
    const result = await client.forget(onlyName(args.ids, 'Name one function.'), args.reason)
    return {
      data: result,
      text: `${result.function} is forgotten: ${result.groups} groups ended, ${result.retries} retries moved to its dead letters.`
    }
  },
  'redis release': async (client, args) => {
    rejectNames(args.ids)
    const result = await client.release(args.reason)
    return {
      data: result,
      text: `The keys of KEY_PREFIX=${result.prefix} and REDIS_CLUSTER=${result.cluster} are released. Start with the new settings.`
    }
  },
  'tax-rates list': async (client, args) => {
    rejectNames(args.ids)
    const list = await client.listTaxRates()
    if (list.tax_rates.length === 0) return { data: list, text: 'No region has a tax rate.' }
    const rows = list.tax_rates.map(({ region, rate, valid_from, valid_to }) => [
      region,
      rate,
      valid_from,
      valid_to ?? '-'
    ])
    return { data: list, text: table([['region', 'rate', 'from', 'to'], ...rows]) }
  },
  'tax-rates set': async (client, { ids: [region, rate, ...more], from, reason }) => {
    if (region === undefined || rate === undefined || more.length > 0)
      throw new UsageError('Name the region and its rate, such as DE 0.19.')
    const set = await client.setTaxRate({
      region,
      rate,
      ...(from !== undefined && { valid_from: from }),
      ...(reason !== undefined && { reason })
    })
    return { data: set, text: `The rate of ${set.region} is ${set.rate} from ${set.valid_from} on.` }
  },
  ...keyCommands
}

/**
 * Reports the result, and the dead letters that do not exist. Their ids are mistyped, or are ids of another function.
 */
function outcomeOf({ function: name, all, ids }: Arguments, result: Dealt, done: string): Outcome {
  const { count, missing } = result
  const others = new Set(ids).size - count
  const unnamed = others > 0 ? `${name} does not have ${others} of the dead letters.` : ''
  const absent = missing ? `${name} has no dead letter ${missing.join(', ')}.` : unnamed
  const nothing = all ? `${name} has no dead letters.` : absent
  if (count === 0) return { data: result, text: nothing || done, failed: true }
  return { data: result, text: [done, absent].filter(Boolean).join('\n') }
}

function row({ id, code, attempts, last_at, cause }: DeadLetter): string[] {
  return [id, code, String(attempts), last_at ?? '-', cause.message.slice(0, 80)]
}
