import { Type } from 'typebox'
import type { App } from '../../src/app.ts'

/** Code of docs/functions.md that is not in an example. The type check covers it, but it never runs. */
export default async function snippets(app: App, { send }: { send: (sku: string) => Promise<void> }) {
  app.consume({
    name: 'snippets',
    stream: 'snippets',
    version: ['1', '2'],
    schema: Type.Object({ sku: Type.String(), colour: Type.Optional(Type.String()) }),
    handler: async messages => {
      const failed = []
      for (const message of messages) {
        try {
          await send(message.body.sku)
        } catch (error) {
          failed.push({ message, cause: error as Error })
        }
      }
      return { failed }
    }
  })
}
