import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { useApp } from '../harness/app.ts'
import { useSpace } from '../harness/space.ts'
import { library, makeFolder, runNode } from './package.ts'

const space = await useSpace()
const generator = join(library, 'node_modules/openapi-typescript/bin/cli.js')

// `npm run client` writes the file anew.
test('the types of the client library are those of the OpenAPI document', async () => {
  const { call } = await useApp(space, 'api')
  const document = join(await makeFolder(), 'openapi.json')
  await writeFile(document, (await call('/openapi.json')).body)
  const types = await runNode([generator, document], library)
  await expect(types).toMatchFileSnapshot(join(library, 'src/openapi.ts'))
})
