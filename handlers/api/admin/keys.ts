import { ADMIN_BODY_LIMIT, adminErrors, adminRoute, bodyErrors } from '../../../schema/http/admin.ts'
import { ReasonQuery } from '../../../schema/http/admin-action.ts'
import {
  type ApiKey,
  IssuedKey,
  KeyPage,
  KeyParams,
  KeyQuery,
  NewKey,
  RevokedKey,
  RotateQuery
} from '../../../schema/http/key.ts'
import { ref } from '../../../schema/http/ref.ts'
import { problem, response } from '../../../schema/http/response.ts'
import type { App } from '../../../src/app.ts'
import { isLive, type StoredKey } from '../../../src/auth/key-record.ts'

const list = {
  ...adminRoute,
  operationId: 'listKeys',
  summary: 'List the API keys',
  description: 'By id, without their secrets. Revoked and expired keys are in the list.',
  querystring: KeyQuery,
  response: { 200: response(KeyPage, { description: 'A page of keys.' }), ...adminErrors }
} as const

const create = {
  ...adminRoute,
  operationId: 'createKey',
  summary: 'Create an API key',
  description: 'Only this answer shows the key.',
  body: ref(NewKey),
  response: {
    201: response(IssuedKey, { description: 'The key is valid.' }),
    409: problem('Such a key cannot be created.'),
    ...adminErrors,
    ...bodyErrors
  }
} as const

const rotate = {
  ...adminRoute,
  operationId: 'rotateKey',
  summary: 'Add a secret to an API key',
  description: 'The previous secret stays valid for a while. A secret older than that is refused at once.',
  params: KeyParams,
  querystring: RotateQuery,
  response: {
    200: response(IssuedKey, { description: 'The new secret is valid.' }),
    404: problem('There is no such key.'),
    409: problem('The key is revoked or has expired.'),
    ...adminErrors,
    ...bodyErrors
  }
} as const

const revoke = {
  ...adminRoute,
  operationId: 'revokeKey',
  summary: 'Revoke an API key',
  description: 'One store is enough. Every process refuses the key within ten seconds.',
  params: KeyParams,
  querystring: ReasonQuery,
  response: {
    200: response(RevokedKey, { description: 'The key is revoked.' }),
    404: problem('There is no such key.'),
    ...adminErrors,
    ...bodyErrors
  }
} as const

/** /admin/keys: creates, lists, rotates and revokes API keys. */
export default async function keyRoutes(app: App) {
  if (!app.servesAdmin) return
  const { apiKeys } = app
  const read = { config: { scope: 'admin:read' } } as const
  const change = { config: { scope: 'admin' }, bodyLimit: ADMIN_BODY_LIMIT } as const
  const issue = {
    config: { scope: 'admin', idempotencyKey: { without: ['key'] } },
    bodyLimit: ADMIN_BODY_LIMIT
  } as const

  app.get('/keys', { ...read, schema: list }, async ({ query: { after, limit } }) => {
    const keys = await apiKeys.list(after, limit)
    return { keys: keys.map(toBody), next: keys.length < limit ? '' : (keys.at(-1)?.id ?? '') }
  })

  app.post('/keys', { ...issue, schema: create }, async ({ body, log }, reply) => {
    const { stored, key } = await apiKeys.create(body)
    log.warn({ key_id: stored.id, name: stored.name, scopes: stored.scopes }, 'an API key was created')
    return reply.code(201).send({ ...toBody(stored), key })
  })

  app.post('/keys/:id/rotate', { ...issue, schema: rotate }, async ({ params, query, log }) => {
    const { stored, key } = await apiKeys.rotate(params.id, query.keep_seconds * 1000)
    log.warn({ key_id: stored.id, keep_seconds: query.keep_seconds }, 'an API key was rotated')
    return { ...toBody(stored), key }
  })

  app.delete('/keys/:id', { ...change, schema: revoke }, async ({ params: { id }, log }) => {
    const revoked_at = await apiKeys.revoke(id)
    log.warn({ key_id: id }, 'an API key was revoked')
    return { id, revoked_at }
  })
}

function toBody({ secrets, ...facts }: StoredKey): ApiKey {
  return { ...facts, live_secrets: secrets.filter(isLive).length }
}
