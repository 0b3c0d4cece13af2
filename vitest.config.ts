import { defineConfig } from 'vitest/config';

// Three projects: `unit` (beside the code, no services), `scenarios` (whole product, real parts) and `interop` (official
// clients, needs Debian packages). `npm test` runs the first two.
export default defineConfig({
  test: {
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
          ],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'scenarios',
          include: ['test/scenarios/**/*.test.ts', 'test/docs/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      { test: { name: 'interop', include: ['test/interop/**/*.test.ts'], testTimeout: 300_000, hookTimeout: 300_000 } },
    ],
    maxWorkers: 2,
    pool: 'forks',
  },
});
