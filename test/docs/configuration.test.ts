import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Env } from '../../schema/config/env.ts'
import { read } from './pages.ts'

const BEGIN = '<!-- schema:begin -->'
const END = '<!-- schema:end -->'

// `vitest run test/docs/configuration.test.ts -u` rewrites the table.
test('docs/configuration.md lists every variable as the schema describes it', async () => {
  const [before = '', rest = ''] = (await read('docs/configuration.md')).split(BEGIN)
  const [, after = ''] = rest.split(END)
  const page = `${before}${BEGIN}\n\n${renderVariables()}\n\n${END}${after}`
  await expect(page).toMatchFileSnapshot(join(import.meta.dirname, '../../docs/configuration.md'))
})

function renderVariables(): string {
  const variables = Object.entries(
    Env.properties as unknown as Record<string, { default?: unknown; description: string }>
  )
  const rows = variables.map(([name, { default: fallback, description }]) => {
    const shown = fallback === undefined || fallback === '' ? '–' : `\`${fallback}\``
    return `| \`${name}\` | ${shown} | ${description} |`
  })
  return ['| variable | default | meaning |', '| --- | --- | --- |', ...rows].join('\n')
}
