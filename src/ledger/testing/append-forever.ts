import { writeSync } from 'node:fs';
import { codeOf } from '../../std/index.ts';
import { createLedger } from '../index.ts';
import { never, operation, realDeps } from './ledger-fixture.ts';

// A process that appends and says so, until it is killed: `node append-forever.ts DIRECTORY`. Each line is the number of an
// entry that `append` has accepted and the operation it is of.

const ledger = createLedger({
  ...realDeps(process.argv[2] ?? ''),
  options: { hashing: 'thread', segmentBytes: 1024 * 1024 },
});
await ledger.start(never);
for (let i = 0; ; i++) {
  const [intent, outcome] = operation(i);
  say(`${ledger.append(intent)} o${i}\n`);
  if (i % 5 > 0) say(`${ledger.append(outcome)} o${i}\n`);
  if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
}

/** A pipe that is full says so instead of waiting. */
function say(line: string): void {
  for (;;) {
    try {
      writeSync(1, line);
      return;
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN') throw error;
    }
  }
}
