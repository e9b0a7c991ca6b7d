import { expect, onTestFinished, test } from 'vitest'
import { problemType } from '../../schema/http/problem-types.ts'
import { useApp } from '../harness/app.ts'
import { startService } from '../harness/service.ts'
import { connectTo, PATIENT, until, useSpace } from '../harness/space.ts'

const space = await useSpace()
const ADMIN_TOKEN = 'a-token-for-the-tests'

test('a request whose process is killed is in progress until its lease ends, and then runs again', async () => {
  const service = await startService(space, 'api', { ...PATIENT, ADMIN_TOKEN })
  const lock = await connectTo(space)
  onTestFinished(() => lock.end())
  await lock.query('START TRANSACTION')
  // Locks the gap, so that the new key waits.
  await lock.query('SELECT id FROM api_keys FOR UPDATE')
  const request = {
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'idempotency-key': '"killed"' }
  } as const
  const body = { name: 'killed', scopes: ['orders:read'] }
  const lost = fetch(`${service.url}/admin/keys`, {
    ...request,
    headers: { ...request.headers, 'content-type': 'application/json' },
    body: JSON.stringify(body)
  })
  lost.catch(() => {})
  const begun = 'SELECT id FROM idempotency_keys'
  await until('the request has begun', async () => (await space.sql(begun)).length === 1)
  await service.end('SIGKILL')
  await expect(lost).rejects.toThrow('fetch failed')
  await lock.query('ROLLBACK')

  const { call } = await useApp(space, 'api', { ADMIN_TOKEN })
  const again = () => call({ ...request, url: '/admin/keys', payload: body })
  expect((await again()).json().type).toBe(problemType('idempotency-key-in-use'))
  await space.sql('UPDATE idempotency_keys SET lease_until = UTC_TIMESTAMP(3)')
  const made = await again()
  expect([made.statusCode, made.headers['idempotent-replayed']]).toEqual([201, undefined])
  expect(made.json().key).toEqual(expect.any(String))
  expect(await space.sql('SELECT name FROM api_keys')).toEqual([{ name: 'killed' }])
})
