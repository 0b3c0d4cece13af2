/**
 * `npm run floods -- [--role NAME] [--kind NAME] [--seconds N]`: floods each door of real roles at full size and prints a line of JSON for
 * each flood: other clients' latency, sockets and memory before, at the peak and afterwards; and how long a SIGTERM in the middle of one
 * took. Ends with 1 when a role kept something, or did not end.
 */
import { parseArgs } from 'node:util';
import { type FloodKind, HTTP2_KINDS, SOCKET_KINDS } from '../test/scenarios/floods/kinds.ts';
import { runFlood, stopDuring } from '../test/scenarios/floods/run.ts';
import { startStack } from '../test/support/stack.ts';
import { ROLES } from '../test/support/stack-folder.ts';

const { values } = parseArgs({
  options: { role: { type: 'string' }, kind: { type: 'string' }, seconds: { type: 'string', default: '10' } },
});
const size = { seconds: Number(values.seconds), atOnce: 100, connectionsMax: 5_000, restSeconds: 60 };
const halfOpen = { ...size, atOnce: 10_000, connectionsMax: 10_000 };
const stack = await startStack({ store: 'sqlite', isSearched: false });
try {
  for (const role of ROLES.filter((name) => (values.role ?? name) === name)) {
    const kinds: readonly FloodKind[] = role === 'gateway' ? SOCKET_KINDS : [...HTTP2_KINDS, ...SOCKET_KINDS];
    for (const kind of kinds.filter((name) => (values.kind ?? name) === name)) {
      const report = await runFlood(stack, role, kind, kind === 'half-open' ? halfOpen : size);
      process.stdout.write(`${JSON.stringify(report)}\n`);
      if (report.sockets.after > report.sockets.before) process.exitCode = 1;
    }
    const kind = role === 'gateway' ? 'half-open' : 'headers';
    const stopped = await stopDuring(stack, role, kind, size);
    process.stdout.write(`${JSON.stringify({ role, sigtermDuring: kind, ...stopped })}\n`);
    if (stopped.code !== 0) process.exitCode = 1;
  }
} finally {
  await stack.stop();
}
process.exit();
