import { expect, test } from 'vitest'
import { StoreUnavailable } from '../../src/stores/errors.ts'
import { createStreamReader } from '../../src/streams/consume/reader.ts'
import type { GroupMember } from '../../src/streams/group/member.ts'
import { useApp } from '../harness/app.ts'
import { NOWHERE, useSpace } from '../harness/space.ts'

const space = await useSpace()

test('every read without a connection fails, and no read waits forever', async () => {
  const { redis } = (await useApp(space, 'api', { REDIS_PORT: NOWHERE })).app.stores
  const reader = createStreamReader(redis.masterOf(0), {
    group: 'g',
    consumer: 'c',
    stream: 's'
  } as GroupMember)
  for (let read = 0; read < 3; read++) await expect(reader.wait(1)).rejects.toBeInstanceOf(StoreUnavailable)
  reader.close()
})
