import { writeSync } from 'node:fs';
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
  writeSync(1, `${ledger.append(intent)} o${i}\n`);
  if (i % 5 > 0) writeSync(1, `${ledger.append(outcome)} o${i}\n`);
  if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
}
