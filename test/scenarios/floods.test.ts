/** Floods of a second against each door of real roles: others are served, sockets are given back, and SIGTERM ends the role meanwhile. `npm run floods` does it at full size, and says what others wait and what memory it takes. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Stack, startStack } from '../support/stack.ts';
import type { DoorName, FloodKind } from './floods/kinds.ts';
import { declareOperator } from './floods/others.ts';
import { type FloodSize, keptSockets, runFlood, stopDuring } from './floods/run.ts';

const size: FloodSize = {
  ...{ seconds: 1, atOnce: 10, connectionsMax: 200, from: '127.0.0.2' },
  ...{ restSeconds: 60, awaits: 'sockets' },
};

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({ store: 'sqlite' });
  await declareOperator(stack);
});
afterAll(() => stack?.stop());

const floods: readonly (readonly [DoorName, readonly FloodKind[]])[] = [
  ['server', ['headers', 'headers without end', 'reset', 'window', 'half-open tls']],
  ['agent', ['headers', 'continuation', 'ping', 'window', 'connect and close']],
  ['gateway', ['half-open', 'handshakes']],
  ['direct', ['half-open tls', 'connect and close']],
  ['target', ['half-open']],
];

// A role hides its descriptors even from its own user.
describe.runIf(process.getuid?.() === 0).each(floods)('the door %s', (door, kinds) => {
  it.each(kinds)('serves others during a flood of %s, and gives its sockets back', async (kind) => {
    const { made, known, newcomer, before, after } = await runFlood(stack, { door, kind }, size);
    expect(made).toBeGreaterThan(0);
    expect([known.during.failed, newcomer.during.failed]).toEqual([0, 0]);
    expect(keptSockets({ before, after })).toBeLessThanOrEqual(0);
  });

  it('ends in its grace when it is told to in the middle of a flood', async () => {
    const kind = kinds[0] ?? 'half-open';
    const { code } = await stopDuring(stack, { door, kind }, size);
    expect(code).toBe(0);
  });
});
