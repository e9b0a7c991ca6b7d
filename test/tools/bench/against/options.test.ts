import { expect, test } from 'vitest'
import { readOptions } from '../../../../tools/bench/options.ts'

const against = (...args: string[]) => readOptions(['--against', 'main', ...args])?.against

test('a comparison has three phases, at most thirty rounds and a bound of 0.97 by default', () => {
  expect(against()).toEqual({
    revision: 'main',
    phases: ['accept', 'read', 'drain'],
    rounds: 30,
    bounds: { accept: 0.97, read: 0.97, drain: 0.97 },
    extra: 'nothing'
  })
  expect(against('--only', 'drain,accept', '--rounds', '12')).toMatchObject({
    phases: ['accept', 'drain'],
    rounds: 12,
    bounds: { accept: 0.97, drain: 0.97 },
    extra: 'nothing'
  })
  expect(against('--only', 'accept', '--with', 'items')).toMatchObject({ phases: ['accept'], extra: 'items' })
  expect(readOptions([])?.against).toBeUndefined()
  expect(readOptions(['--check', '--only', 'memory'])).toEqual({
    extent: 'check',
    only: ['memory'],
    keep: false
  })
})

test('a bound applies to all phases or to the phase that it names, in any order', () => {
  expect(against('--bound', '0.88')?.bounds).toEqual({ accept: 0.88, read: 0.88, drain: 0.88 })
  for (const bounds of [['drain=0.8', '0.9'], ['0.9', 'drain=0.8'], ['0.9,drain=0.8']])
    expect(against(...bounds.flatMap(bound => ['--bound', bound]))?.bounds).toEqual({
      accept: 0.9,
      read: 0.9,
      drain: 0.8
    })
})

test.each([
  [['--against', ''], /--against has no revision/],
  [['--against', 'main', '--quick'], /exclude each other/],
  [['--against', 'main', '--check'], /exclude each other/],
  [['--against', 'main', '--only', 'memory'], /--only has memory: there are accept, read, drain/],
  [['--against', 'main', '--only', ','], /--only has no phase/],
  [['--against', 'main', '--rounds', '0'], /--rounds is "0"/],
  [['--against', 'main', '--rounds', 'many'], /--rounds is "many"/],
  [['--against', 'main', '--bound', 'fast'], /--bound is "fast"/],
  [['--against', 'main', '--bound', '0'], /--bound is "0"/],
  [['--against', 'main', '--bound', 'memory=0.9'], /--bound has memory/],
  [['--against', 'main', '--only', 'read', '--bound', 'drain=0.9'], /--bound has drain/],
  [['--against', 'main', '--with', 'more'], /--with is "more"/],
  [['--against', 'main', '--with', 'keys'], /--only accept/],
  [['--with', 'keys'], /belong to --against/],
  [['--rounds', '3'], /belong to --against/],
  [['--bound', '0.9'], /belong to --against/]
])('refuses %j', (args, message) => {
  expect(() => readOptions(args)).toThrow(message)
})
