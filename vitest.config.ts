import { defineConfig } from 'vitest/config';

// Projects: `unit` (beside the code, no services), `scenarios` (whole product, real parts) and `interop` (official
// clients, needs Debian packages). `npm test` runs the first two.
export default defineConfig({
  test: {
    globalSetup: ['test/support/fresh-bundle.ts', 'test/support/no-orphans.ts'],
    projects: [
      {
        test: {
          name: 'unit',
          include: [
            'src/**/*.test.ts',
            'sdk/**/*.test.ts',
            'scripts/**/*.test.ts',
            'test/conformance/**/*.test.ts',
            'test/fuzz/**/*.test.ts',
            'test/support/**/*.test.ts',
          ],
          ...patience(180_000),
        },
      },
      {
        test: {
          name: 'scenarios',
          include: ['test/scenarios/**/*.test.ts', 'test/docs/**/*.test.ts'],
          ...patience(600_000),
        },
      },
      // Tools and suites of registries (test/foreign/README.md).
      { test: { name: 'foreign', include: ['test/foreign/**/*.test.ts'], ...patience(900_000) } },
      { test: { name: 'interop', include: ['test/interop/**/*.test.ts'], ...patience(600_000) } },
    ],
    maxWorkers: 4,
    pool: 'forks',
  },
});

/** Bounds that only what hangs comes near: a machine with much else to do takes ten times as long as an idle one. */
function patience(ms: number) {
  return { testTimeout: ms, hookTimeout: ms, expect: { poll: { timeout: 60_000 } } };
}
