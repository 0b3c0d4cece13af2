import { parseSpiffeId } from '@countersign/sdk/identity';
import { expect, test } from 'vitest';
import { createManualClock, createSilentLog } from '../../std/index.ts';
import type { Companions } from '../companions.ts';
import { createActivity } from './activity.ts';
import { createSessions, type SessionHandle } from './sessions.ts';

// Goal: of sessions that companions count as well, each has a place from its first moment to its last, or is none.

const FULL = { code: 'limit', what: 'there are as many as there may be' } as const;

function start(enter: Companions['enter']) {
  const sessions = createSessions({
    ...{ clock: createManualClock(0), log: createSilentLog(), limits: { sessionsMax: 2, sessionsPerIdentityMax: 2 } },
    bundle: () => undefined,
    companions: { enter },
  });
  const handle = (id: string): SessionHandle => ({
    ...{ id, identity: parseSpiffeId('spiffe://example.org/web'), target: 'shop', door: 'agent', isAside: false },
    ...{
      caller: undefined,
      startedMs: 0,
      chainDer: [],
      serial: '1',
      thumbprint: undefined,
      address: undefined,
      expiresAtS: 1,
    },
    ...{ end: new AbortController(), drain: new AbortController(), activity: createActivity() },
  });
  return { sessions, handle };
}

test('one that companions have no room for is none, and makes room here', async () => {
  const { sessions, handle } = start(async () => FULL);
  for (let n = 0; n < 5; n++) expect(await sessions.admit(handle('a'))).toEqual(FULL);
  expect(sessions.list()).toEqual([]);
  await sessions.empty();
});

test('one of which companions could not be asked is none', async () => {
  const { sessions, handle } = start(() => Promise.reject(new Error('gone')));
  await expect(sessions.admit(handle('a'))).rejects.toThrow('gone');
  expect(sessions.list()).toEqual([]);
});

test('one that is over gives its place back, once', async () => {
  let left = 0;
  const { sessions, handle } = start(async () => ({ leave: () => void left++ }));
  const one = handle('a');
  expect(await sessions.admit(one)).toBeUndefined();
  sessions.remove(one);
  sessions.remove(one);
  expect(left).toBe(1);
});

test('one that is to end while companions are asked hears of it, and is waited for', async () => {
  const asked = Promise.withResolvers<{ leave(): void }>();
  const { sessions, handle } = start(() => asked.promise);
  const one = handle('a');
  const admitted = sessions.admit(one);
  sessions.end({ code: 'identity', what: 'no longer trusted' });
  expect(one.end.signal.aborted).toBe(true);
  asked.resolve({ leave() {} });
  expect(await admitted).toBeUndefined();
  expect(sessions.list()).toEqual([one]);
});
