import { expect, test } from 'vitest'
import { createKeyReader, newKeyId, newSecret, parseKey } from '../../src/auth/key-text.ts'

test('a header has the same key, whatever the connection sent before', () => {
  const keyIn = createKeyReader()
  const tokens = [newKeyId(), newKeyId()].map(id => newSecret(id).key)
  const [first = '', second = ''] = tokens
  const sameEnd = `${first.slice(0, 3)}0${first.slice(4)}`
  const connection = {}
  for (const token of [first, first, second, sameEnd, 'no key', first, `${first} `, second, second])
    expect(keyIn(`Bearer ${token}`, connection)).toEqual(parseKey(token))
  expect(keyIn(`Bearer ${first}`, {})).toEqual(parseKey(first))
  expect(keyIn(`Basic ${second}`, connection)).toBeUndefined()
})
