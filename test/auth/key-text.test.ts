import { expect, test } from 'vitest'
import { createKeyParser, newKeyId, newSecret, parseKey } from '../../src/auth/key-text.ts'

test('the key of a token is the same whatever the connection sent before', () => {
  const parse = createKeyParser()
  const tokens = [newKeyId(), newKeyId()].map(id => newSecret(id).key)
  const [first = '', second = ''] = tokens
  const sameEnd = `${first.slice(0, 3)}0${first.slice(4)}`
  const connection = {}
  for (const token of [first, first, second, sameEnd, 'no key', first, `${first} `, second, second])
    expect(parse(token, connection)).toEqual(parseKey(token))
  expect(parse(first, {})).toEqual(parseKey(first))
})
