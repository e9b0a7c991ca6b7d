import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { nodeFlags, root } from '../../../tools/local/service.ts'

test('the image starts Node.js as npm start does', async () => {
  const dockerfile = await readFile(join(root, 'Dockerfile'), 'utf8')
  const command = /^CMD (\[.*\])$/m.exec(dockerfile)?.[1] ?? 'no CMD'
  expect(JSON.parse(command)).toEqual(['node', ...nodeFlags, 'src/main.ts'])
})
