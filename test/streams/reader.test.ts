import { expect, test } from 'vitest'
import { StoreUnavailable } from '../../src/stores/errors.ts'
import type { GroupMember } from '../../src/streams/group.ts'
import { createStreamReader } from '../../src/streams/reader.ts'
import { useApp } from '../app.ts'
import { NOWHERE, useSpace } from '../space.ts'

const space = await useSpace()

test('a read fails as often as its connection cannot be made, and never waits for good', async () => {
  const { redis } = (await useApp(space, 'api', { REDIS_PORT: NOWHERE })).app
  const reader = createStreamReader(redis, { group: 'g', consumer: 'c', stream: 's' } as GroupMember)
  for (let read = 0; read < 3; read++) await expect(reader.wait(1)).rejects.toBeInstanceOf(StoreUnavailable)
  reader.close()
})
