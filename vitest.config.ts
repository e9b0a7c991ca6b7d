import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    // A test of a function stands beside it.
    include: ['test/**/*.test.ts', 'handlers/**/*.test.ts', 'examples/**/*.test.ts'],
    // Those are tap's, against containers.
    exclude: ['test/smoke/**'],
    globalSetup: 'test/harness/stores.ts',
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Node itself loads the sources, as it does in production: a second copy of a module would have other classes.
    experimental: { viteModuleRunner: false },
    // Files run in parallel; each has a database and a key prefix of its own.
    fileParallelism: true,
    // More than processors, because tests wait for leases, timeouts and stores.
    maxWorkers: Math.ceil(availableParallelism() * 1.5),
    // A wait for a condition that never comes true must show up as a failure of its own test.
    dangerouslyIgnoreUnhandledErrors: false
  }
})
