import fc from 'fast-check'
import { expect, test } from 'vitest'
import { findFaults } from '../../src/http/body/json-faults.ts'

/** The parts of a JSON text: scalars and keys as written, and members in their order. */
type Node = { text: string } | { items: Node[] } | { members: [key: string, value: Node][] }

const digits = fc.string({ unit: fc.constantFrom('0', '1', '5', '9'), minLength: 1, maxLength: 20 })
const literals = fc
  .record({
    sign: fc.constantFrom('', '-'),
    whole: digits.map(text => text.replace(/^0+(?=\d)/, '')),
    fraction: fc.option(digits, { nil: '' }),
    exponent: fc.constantFrom('', '', 'e2', 'E-3', 'e+15', 'e-20')
  })
  .map(({ sign, whole, fraction, exponent }) => `${sign}${whole}${fraction && `.${fraction}`}${exponent}`)
const scalars = fc.oneof(
  literals,
  fc.constantFrom(
    'true',
    'null',
    '""',
    '"a"',
    '"{\\"a\\":1,\\"a\\":2}"',
    '"\\\\"',
    '"1.00000000000000000001"',
    '"x:y"'
  )
)
const names = fc.constantFrom(
  'a',
  'b',
  'a',
  '',
  'a/b',
  'c~',
  'é',
  '":',
  '\\',
  '__proto__',
  'constructor',
  'prototype',
  'x'
)
/** A key in one of two spellings: the first character is escaped, or only the necessary characters are. */
const keys = fc
  .tuple(names, fc.boolean())
  .map(([name, escaped]) =>
    escaped && name !== ''
      ? `"\\u${name.charCodeAt(0).toString(16).padStart(4, '0')}${JSON.stringify(name.slice(1)).slice(1)}`
      : JSON.stringify(name)
  )
const { nodes } = fc.letrec<{ nodes: Node }>(tie => ({
  nodes: fc.oneof(
    { maxDepth: 4 },
    scalars.map(text => ({ text })),
    fc.array(tie('nodes'), { maxLength: 3 }).map(items => ({ items })),
    fc.array(fc.tuple(keys, tie('nodes')), { maxLength: 4 }).map(members => ({ members }))
  )
}))

function write(node: Node, space: string): string {
  if ('text' in node) return node.text
  if ('items' in node) return `[${space}${node.items.map(item => write(item, space)).join(`${space},`)}]`
  return `{${node.members.map(([key, value]) => `${space}${key}${space}:${space}${write(value, space)}`).join(',')}${space}}`
}

/** Returns a decimal as a whole number of units of 10⁻⁴⁰⁰. */
function units(text: string): bigint {
  const [, sign, whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e(.+))?$/i.exec(text) ?? []
  return BigInt(`${sign}${whole}${fraction}`) * 10n ** BigInt(400 - fraction.length + Number(exponent))
}

/** Applies the rules to the parts of a text, independently of the parser under test. */
function pointersOf(node: Node, path: string[] = []): string[] {
  const pointer = path.map(part => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
  if ('text' in node) {
    const lossy = /^[-\d]/.test(node.text) && units(node.text) !== units(String(Number(node.text)))
    return lossy ? [pointer] : []
  }
  if ('items' in node) return node.items.flatMap((item, index) => pointersOf(item, [...path, String(index)]))
  const names = node.members.map(([key]) => JSON.parse(key) as string)
  return node.members.flatMap(([, value], index) => {
    const name = names[index] as string
    const refused =
      names.indexOf(name) < index ||
      name === '__proto__' ||
      (name === 'prototype' && path.at(-1) === 'constructor')
    const own = `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
    return [...(refused ? [own] : []), ...pointersOf(value, [...path, name])]
  })
}

test('findFaults finds only repeated keys, numbers that lose digits, and keys that lead to a prototype', () => {
  let faulty = 0
  fc.assert(
    fc.property(nodes, fc.constantFrom('', ' ', '\n\t'), (node, space) => {
      const text = write(node, space)
      const expected = pointersOf(node)
      if (expected.length > 0) faulty++
      expect(
        findFaults(text, JSON.parse(text)).map(({ pointer }) => pointer),
        text
      ).toEqual(expected.slice(0, 20))
    }),
    { numRuns: 5000 }
  )
  // The run has tested enough of both cases.
  expect(faulty).toBeGreaterThan(500)
  expect(faulty).toBeLessThan(4500)
})

test('findFaults reads deep and long texts without recursion', () => {
  const deep = `${'{"a":['.repeat(50_000)}1,1.00000000000000000001${']}'.repeat(50_000)}`
  expect(findFaults(deep, JSON.parse(deep))).toHaveLength(1)
  const long = `{"a":"${'x\\"'.repeat(200_000)}","a":1}`
  expect(findFaults(long, JSON.parse(long))).toEqual([
    { pointer: '/a', detail: 'the key a appears more than once' }
  ])
})
