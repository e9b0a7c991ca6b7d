import closeWithGrace from 'close-with-grace'
import { ConfigError, resolveConfig } from '../schema/env.ts'
import { buildApp } from './app.ts'

try {
  const config = resolveConfig(process.env)
  const app = await buildApp(config)
  closeWithGrace({ delay: config.SHUTDOWN_GRACE_MS, logger: app.log }, async ({ err, signal }) => {
    if (err) app.log.fatal({ err }, 'closing after an error that nothing handled')
    else app.log.info({ signal }, 'closing')
    await app.drain()
    await app.close()
  })
  await app.listen({ host: config.HOST, port: config.PORT })
} catch (error) {
  console.error(error instanceof ConfigError ? error.message : error)
  process.exit(1)
}
