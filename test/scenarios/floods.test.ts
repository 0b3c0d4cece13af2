/** Floods of a second or two against each door of real roles: others are served, all of it is given back, and SIGTERM ends the role meanwhile. `npm run floods` does it at full size. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Stack, startStack } from '../support/stack.ts';
import type { FloodKind } from './floods/kinds.ts';
import { runFlood, stopDuring } from './floods/run.ts';

const size = { seconds: 1, atOnce: 10, connectionsMax: 200, restSeconds: 60 };
const mebibytesMore = 300;

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ store: 'sqlite' });
});
afterAll(() => stack?.stop());

const floods: readonly (readonly ['server' | 'agent' | 'gateway', readonly FloodKind[]])[] = [
  ['server', ['headers', 'headers without end', 'reset', 'window', 'half-open']],
  ['agent', ['headers', 'continuation', 'ping', 'window', 'connect and close']],
  ['gateway', ['half-open', 'connect and close']],
];

// A role hides its descriptors even from its own user.
describe.runIf(process.getuid?.() === 0).each(floods)('%s', (role, kinds) => {
  it.each(kinds)('serves others during a flood of %s, and gives all of it back', async (kind) => {
    const report = await runFlood(stack, role, kind, size);
    expect(report.made).toBeGreaterThan(0);
    expect(report.during.failed).toBe(0);
    expect(report.sockets.after).toBeLessThanOrEqual(report.sockets.before);
    expect(report.memory.after - report.memory.before).toBeLessThan(mebibytesMore);
  });

  it('ends in its grace when it is told to in the middle of a flood', async () => {
    const kind = role === 'gateway' ? 'half-open' : 'headers';
    const { code, stopMs } = await stopDuring(stack, role, kind, size);
    expect(code).toBe(0);
    expect(stopMs).toBeLessThan(20_000);
  });
});
