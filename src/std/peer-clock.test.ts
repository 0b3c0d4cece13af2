import { expect, it } from 'vitest';
import { createManualClock } from './clock.ts';
import { createPeerClock } from './peer-clock.ts';

const START_MS = 1_800_000_000_000;
const HOUR_MS = 3_600_000;

it('knows nothing before anything was heard', () => {
  expect(createPeerClock(createManualClock(START_MS)).offset()).toBeUndefined();
});

it('tells by how much the other is ahead or behind', () => {
  const peer = createPeerClock(createManualClock(START_MS));
  peer.says(START_MS + 2 * HOUR_MS);
  expect(peer.offset()).toEqual({ aheadMs: 2 * HOUR_MS, exact: true, stepped: undefined });
  peer.says(START_MS - HOUR_MS);
  expect(peer.offset()).toEqual({ aheadMs: -HOUR_MS, exact: true, stepped: 'peer' });
});

it('sees a step of the own clock at once, and whose it was', async () => {
  const clock = createManualClock(START_MS);
  const peer = createPeerClock(clock);
  peer.says(START_MS);
  await clock.advance(60_000);
  clock.step(-HOUR_MS);
  expect(peer.offset()).toEqual({ aheadMs: HOUR_MS, exact: true, stepped: 'own' });
  clock.step(HOUR_MS);
  expect(peer.offset()).toEqual({ aheadMs: 0, exact: true, stepped: undefined });
});

it('knows a bound from what the other showed, until the other says its time', () => {
  const peer = createPeerClock(createManualClock(START_MS));
  peer.isBeyond(START_MS - 1, 'not-before');
  expect(peer.offset()).toBeUndefined();
  peer.isBeyond(START_MS + HOUR_MS, 'not-before');
  expect(peer.offset()).toMatchObject({ aheadMs: HOUR_MS, exact: false });
  peer.isBeyond(START_MS - HOUR_MS, 'not-after');
  expect(peer.offset()).toMatchObject({ aheadMs: -HOUR_MS, exact: false });
  peer.says(START_MS + 5);
  expect(peer.offset()).toEqual({ aheadMs: 5, exact: true, stepped: undefined });
});
