import { parseTrustDomain, spiffeIdOf } from '@countersign/sdk/identity';
import { describe, expect, it } from 'vitest';
import { createManualClock, createSilentLog } from '../std/index.ts';
import { createServerIdentity } from './server-identity.ts';

const signal = new AbortController().signal;
const HOUR_MS = 3_600_000;

async function house() {
  const clock = createManualClock(1_800_000_000_000);
  let issued = 0;
  let failing = false;
  let bundleChanged = () => {};
  const identity = createServerIdentity({
    clock,
    log: createSilentLog(),
    id: spiffeIdOf(parseTrustDomain('example.org'), '/spire/server'),
    authority: {
      async issueX509Svid() {
        if (failing) throw new Error('not now');
        return { chainDer: [Buffer.from([++issued])], serial: '1', expiresAtS: (clock.now() + HOUR_MS) / 1000 };
      },
      onBundle(listener) {
        bundleChanged = () => listener({} as never); // The identity looks at nothing in it.
        return () => {};
      },
    },
  });
  await identity.start(signal);
  const shown = () => identity.tls().chainDer[0]?.readUInt8(0);
  return {
    clock,
    identity,
    shown,
    fail: (now: boolean) => {
      failing = now;
    },
    bundleChanged: () => bundleChanged(),
  };
}

describe("the server's own identity", () => {
  it('stays for half its life, then is renewed', async () => {
    const { clock, shown, identity } = await house();
    await clock.advance(HOUR_MS / 2 - 4000);
    expect(shown()).toBe(1);
    await clock.advance(6000);
    expect(shown()).toBe(2);
    await identity.stop();
  });

  it.each([
    ['on', HOUR_MS],
    ['back', -HOUR_MS],
  ])('is renewed within seconds when the clock steps an hour %s', async (_way, byMs) => {
    const { clock, shown, identity } = await house();
    clock.step(byMs);
    await clock.advance(2000);
    expect(shown()).toBe(2);
    await identity.stop();
  });

  it('is renewed at once when the authorities change', async () => {
    const { shown, bundleChanged, identity } = await house();
    bundleChanged();
    await expect.poll(shown).toBe(2);
    await identity.stop();
  });

  it('goes on with what it has while it can not be renewed, and tries again', async () => {
    const { clock, shown, fail, identity } = await house();
    fail(true);
    await clock.advance(HOUR_MS / 2 + 10_000);
    expect(shown()).toBe(1);
    fail(false);
    await clock.advance(2000);
    expect(shown()).toBe(2);
    await identity.stop();
  });

  it('leaves no timer behind', async () => {
    const { clock, identity } = await house();
    await identity.stop();
    expect(clock.pending()).toBe(0);
  });
});
