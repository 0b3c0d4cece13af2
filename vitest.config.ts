import { defineConfig } from 'vitest/config';

const UNIT = ['src', 'sdk', 'console/src', 'scripts', 'test/conformance', 'test/fuzz', 'test/support'].map(
  (folder) => `${folder}/**/*.test.ts`,
);
const ALONE = '**/*.alone.test.ts';

// Projects: `unit` and `alone` (beside the code, no services), `scenarios` (whole product, real parts) and `interop` (official
// clients, needs Debian packages). `npm test` runs the first three.
export default defineConfig({
  test: {
    globalSetup: ['test/support/quick-files.ts', 'test/support/fresh-bundle.ts', 'test/support/no-orphans.ts'],
    projects: [
      // Its files share what their worker has loaded: loading it anew for each costs a third of the whole.
      { test: { name: 'unit', include: UNIT, exclude: [ALONE], isolate: false, ...patience(180_000) } },
      // These look at the process that they are in, or have a module of ours replaced.
      { test: { name: 'alone', include: [ALONE], ...patience(180_000) } },
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
