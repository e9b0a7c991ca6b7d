import { expect, test } from 'vitest'
import { FAILOVERS } from '../../../tools/chaos/cluster-faults.ts'
import { createMix } from '../../../tools/chaos/mix.ts'
import {
  deniedCommands,
  describeFault,
  faultKinds,
  isOfCluster,
  planFaults
} from '../../../tools/chaos/plan.ts'

const plan = (seed: number, minutes: number) =>
  planFaults({ seed, duration: minutes * 60_000, kinds: faultKinds.single, partitions: 1 })
const seeds = Array.from({ length: 200 }, (_, seed) => seed)

test('a seed always makes the same faults and load, and another seed makes different ones', () => {
  expect(plan(7, 10)).toEqual(plan(7, 10))
  expect(plan(7, 10)).not.toEqual(plan(8, 10))
  const load = (seed: number) =>
    createMix({ seed, rate: 150, apis: 2 })
      .take(1000)
      .map(arrival => arrival)
      .toArray()
  expect(load(7)).toEqual(load(7))
  expect(load(7)).not.toEqual(load(8))
})

test('a plan has at least 60 faults and three of each kind in ten minutes, and one of each kind in two minutes', () => {
  for (const seed of seeds) {
    const kinds = Map.groupBy(plan(seed, 10), ({ kind }) => kind)
    expect([...kinds.values()].flat().length).toBeGreaterThanOrEqual(60)
    for (const kind of faultKinds.single) expect(kinds.get(kind)?.length ?? 0).toBeGreaterThanOrEqual(3)
    expect(new Set(plan(seed, 2).map(({ kind }) => kind)).size).toBe(faultKinds.single.length)
  }
})

test('a plan for a cluster has enough failovers and moved slots in ten minutes, of every partition', () => {
  const cluster = { duration: 600_000, kinds: faultKinds.cluster, partitions: 12 }
  const plans = seeds.map(seed => planFaults({ seed, ...cluster }))
  for (const faults of plans) {
    const failovers = faults.reduce((sum, { kind }) => sum + (FAILOVERS[kind] ?? 0), 0)
    expect(failovers).toBeGreaterThanOrEqual(15)
    expect(faults.filter(({ kind }) => kind === 'reshard').length).toBeGreaterThanOrEqual(3)
    for (const { kind, partition } of faults) expect(partition !== undefined).toBe(isOfCluster(kind))
  }
  expect(new Set(plans.flat().map(({ partition }) => partition)).size).toBe(13)
})

test('for each command of Redis, a fault denies the command for seconds and names it', () => {
  const faults = seeds.flatMap(seed => plan(seed, 2))
  const denied = faults.filter(({ kind }) => kind === 'deny-redis')
  expect(new Set(denied.map(({ command }) => command))).toEqual(new Set(deniedCommands))
  for (const fault of faults) {
    expect(fault.command !== undefined).toBe(fault.kind === 'deny-redis')
    if (fault.command) expect(describeFault(fault)).toContain(`redis without ${fault.command} for `)
    if (/^(deny|read-only)-/.test(fault.kind)) expect(fault.lasts).toBeGreaterThanOrEqual(2000)
    if (fault.kind === 'read-only-mariadb') expect(fault.target).toBe('mariadb')
  }
})

test('the load has every arrival pattern, and valid bodies have valid amounts', () => {
  const postings = createMix({ seed: 1, rate: 150, apis: 2 })
    .take(20_000)
    .flatMap(arrival => arrival.postings)
    .toArray()
  const good = postings.filter(({ amount }) => amount !== undefined)
  for (const { amount, body } of good) {
    expect(amount).toBeGreaterThan(0n)
    expect(amount).toBeLessThanOrEqual(9_999_999_999n)
    expect(() => JSON.parse(body)).not.toThrow()
  }
  const byId = [...Map.groupBy(good, ({ id }) => id).values()]
  expect(postings.length - good.length).toBeGreaterThan(500)
  expect(byId.filter(list => list.length > 1).length).toBeGreaterThan(1000)
  expect(byId.filter(list => new Set(list.map(({ amount }) => amount)).size > 1).length).toBeGreaterThan(500)
})
