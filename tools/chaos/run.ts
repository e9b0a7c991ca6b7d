import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { runCommand } from '../local/command.ts'
import { allow } from './accounts.ts'
import { check } from './checker.ts'
import { type Client, createClient } from './client.ts'
import { createEventLog } from './events.ts'
import { setReadOnly } from './faults.ts'
import { readHoldings } from './holdings.ts'
import { injectFaults } from './inject.ts'
import { createLedger } from './ledger.ts'
import { runLoad } from './load.ts'
import { help, type Options, readOptions } from './options.ts'
import { describeFault, planFaults } from './plan.ts'
import { checkPush, untilReceived } from './push/check-push.ts'
import { createSubscribers, type Subscribers } from './push/subscribers.ts'
import { readAtRest, runReader } from './reader.ts'
import { type Outcome, passed, renderReport } from './report.ts'
import { untilAtRest } from './rest.ts'
import { createStallWatch } from './stalls.ts'
import { withServers } from './stores.ts'
import { type System, startSystem } from './system.ts'
import { createAuthorize } from './tenants.ts'

/**
 * The longest time that a client waits for an answer (ms). It is longer than the service needs, and shorter than some
 * pauses of a process.
 */
const CLIENT_TIMEOUT = 5000

/** The number of orders that each api reads again at the end. */
const READ_AT_REST = 2000

const say = (line = '') => console.log(line)

process.exitCode = await runCommand({ help, readOptions, run })

async function run(options: Options, signal: AbortSignal): Promise<number> {
  const plan = planFaults(options)
  say(
    `Chaos with seed ${options.seed}: ${options.duration / 1000} s, ${options.rate} arrivals/s, ${plan.length} faults`
  )
  for (const fault of plan) say(describeFault(fault))
  const dir = await mkdtemp(join(tmpdir(), 'orderstream-chaos-'))
  let keep = options.keep
  let system: System | undefined
  try {
    say(`\nStarting Redis (${options.topology}), MariaDB, two apis, two workers …`)
    const { topology, partitions } = options
    system = await startSystem({ dir, topology, partitions, signal })
    const outcome = await torment(system, options, signal)
    say(`\n${renderReport(outcome)}`)
    const good = passed(outcome)
    say(good ? 'Nothing lost, nothing doubled, nothing wrong.' : 'FAILED')
    if (!good) keep = true
    return good ? 0 : 1
  } catch (error) {
    if (!signal.aborted) keep = true
    throw error
  } finally {
    await system?.stop()
    if (keep) say(`Data and logs are kept in ${dir}`)
    else await rm(dir, { recursive: true, force: true, maxRetries: 10 })
  }
}

/** Runs the load, the readers and the faults at the same time, waits until no work is left, and checks everything. */
async function torment(system: System, options: Options, signal: AbortSignal): Promise<Outcome> {
  const { access, adminToken, ports, incidents } = system
  const { seed, rate, duration, partitions } = options
  const plan = planFaults(options)
  const ledger = createLedger()
  const events = createEventLog(access)
  const watch = createStallWatch(access)
  const clients = createClients(ports)
  const loadEnd = new AbortController()
  const end = new AbortController()
  const untilLoadEnds = AbortSignal.any([loadEnd.signal, signal])
  let subscribers: Subscribers | undefined
  const pushEnd = new AbortController()
  const untilPushed = AbortSignal.any([pushEnd.signal, signal])
  const untilEnd = AbortSignal.any([end.signal, signal])
  try {
    await events.drain()
    const authorize = await createAuthorize(clients, adminToken, signal)
    subscribers = await createSubscribers(clients, ports, authorize)
    const following = Promise.all([events.run(untilEnd), subscribers.run(untilPushed)])
    await Promise.race([subscribers.connected, following])
    const watching = watch.run(untilEnd)
    const load = runLoad({
      seed,
      rate,
      clients,
      authorize,
      ledger,
      signal: untilLoadEnds,
      abandon: signal
    })
    const reading = runReader({
      seed,
      rate: options.reads,
      clients,
      authorize,
      ledger,
      signal: untilLoadEnds
    })
    const injecting = injectFaults(system, plan, say, signal)
    await Promise.all([delay(duration, undefined, { signal }), injecting])
    loadEnd.abort()
    const [counts, reads, faults] = await Promise.all([load, reading, injecting])
    say('\nThe load has ended; waiting for rest …')
    await heal(system)
    end.abort()
    await watching
    const rest = await untilAtRest({ access, clients, adminToken, events, signal })
    await readAtRest({ ledger, clients, authorize, seed }, READ_AT_REST)
    await events.drain()
    await untilReceived(subscribers, events, signal)
    pushEnd.abort()
    await following
    const holdings = await readHoldings(access)
    const { stalls } = watch
    const remarks = check({ ledger, holdings, events, faults, stalls, partitions, audit: rest.audit })
    checkPush(subscribers, events, ledger)
    return { seed, plan, faults, stalls, counts, reads, ledger, remarks, rest, incidents, ...subscribers }
  } finally {
    loadEnd.abort()
    end.abort()
    pushEnd.abort()
    subscribers?.close()
    for (const client of clients) client.close()
  }
}

/** Creates a client of each api. */
function createClients(ports: System['ports']): Client[] {
  return ['api-1', 'api-2'].map(name =>
    createClient({ name, port: ports[name] as number, timeout: CLIENT_TIMEOUT })
  )
}

/** Waits for restarts and undoes every fault, because a fault may have failed to undo itself. */
async function heal({ members, redis, access }: System): Promise<void> {
  for (const member of [...Object.values(members), ...redis.servers])
    await member.exclusively(async () => member.signal('SIGCONT'))
  await withServers(access, async client => {
    await client.config('SET', 'maxmemory', 0)
    await allow(client, '+@all')
  })
  await setReadOnly(access, false)
}
