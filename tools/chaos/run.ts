import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { runCommand } from '../local/command.ts'
import { allow } from './accounts.ts'
import { check } from './checker.ts'
import { createClient } from './client.ts'
import { createEventLog } from './events.ts'
import { setReadOnly } from './faults.ts'
import { readHoldings } from './holdings.ts'
import { injectFaults } from './inject.ts'
import { createLedger } from './ledger.ts'
import { runLoad } from './load.ts'
import { help, type Options, readOptions } from './options.ts'
import { describeFault, planFaults } from './plan.ts'
import { checkFollowers, untilFollowed } from './push/check-followers.ts'
import { createFollower, type Follower } from './push/follower.ts'
import { readAtRest, runReader } from './reader.ts'
import { type Outcome, passed, renderReport } from './report.ts'
import { untilAtRest } from './rest.ts'
import { createStallWatch } from './stalls.ts'
import { withServers } from './stores.ts'
import { type System, startSystem } from './system.ts'
import { type Authorize, createAuthorize, identityOf, TENANT } from './tenants.ts'

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
  const clients = (['api-1', 'api-2'] as const).map(name =>
    createClient({ name, port: ports[name] as number, timeout: CLIENT_TIMEOUT })
  )
  const loadEnd = new AbortController()
  const end = new AbortController()
  const untilLoadEnds = AbortSignal.any([loadEnd.signal, signal])
  const pushEnd = new AbortController()
  const untilPushed = AbortSignal.any([pushEnd.signal, signal])
  const untilEnd = AbortSignal.any([end.signal, signal])
  try {
    await events.drain()
    const authorize = await createAuthorize(clients, adminToken, signal)
    const followers = createFollowers(ports, authorize)
    const following = [events.run(untilEnd), ...followers.map(({ run }) => run(untilPushed))]
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
    await untilFollowed(followers, events, signal)
    pushEnd.abort()
    await Promise.all(following)
    const holdings = await readHoldings(access)
    const { stalls } = watch
    const remarks = check({ ledger, holdings, events, faults, stalls, partitions, audit: rest.audit })
    checkFollowers(followers, events, ledger)
    return { seed, plan, faults, stalls, counts, reads, ledger, remarks, rest, incidents, followers }
  } finally {
    loadEnd.abort()
    end.abort()
    pushEnd.abort()
    for (const client of clients) client.close()
  }
}

/** Two clients of each tenant follow its events. They begin at different apis. */
function createFollowers(ports: System['ports'], authorize: Authorize): Follower[] {
  const apis = [ports['api-1'] as number, ports['api-2'] as number]
  return ['default', TENANT].flatMap(tenant =>
    [apis, apis.toReversed()].map((order, index) =>
      createFollower({
        name: `follower ${index + 1} of ${tenant}`,
        tenant,
        headers: authorize(identityOf({ tenant, order_id: 'any' })),
        ports: order
      })
    )
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
