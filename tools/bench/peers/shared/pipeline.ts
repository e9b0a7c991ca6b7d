import type { ChainableCommander } from 'ioredis'

/**
 * Runs a pipeline or a transaction.
 * @throws the error of the first command that failed
 */
export async function run(commands: ChainableCommander): Promise<void> {
  for (const [error] of (await commands.exec()) ?? []) if (error) throw error
}
