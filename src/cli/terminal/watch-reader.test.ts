import * as path from 'node:path';
import { expect, it } from 'vitest';
import { run } from '../../../test/support/processes.ts';

// Goal: whoever follows a record ends when nobody reads it any more, also while there is nothing to say.

const WATCHER = `
  import { createManualClock } from '${path.join(import.meta.dirname, '../../std/index.ts')}';
  import { watchReader } from '${path.join(import.meta.dirname, 'watch-reader.ts')}';
  const clock = createManualClock(0);
  const watch = watchReader(clock, new AbortController().signal);
  await clock.advance(10_000);
  const before = watch.signal.aborted;
  process.stdout.write('first\\n');
  while (!watch.signal.aborted) await clock.advance(250);
  watch.release();
  process.stderr.write(JSON.stringify({ before, after: watch.isGone, pending: clock.pending() }));`;

it('a reader that leaves is missed at the next look, and not before', async () => {
  const args = ['-c', '"$@" | head -n 1', 'sh', process.execPath, '--input-type=module', '-e', WATCHER];
  const { stdout, stderr } = await run('/bin/sh', args);
  expect([stdout, JSON.parse(stderr)]).toEqual(['first\n', { before: false, after: true, pending: 0 }]);
});
