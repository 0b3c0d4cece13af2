import { describe, expect, it } from 'vitest';
import type { Quota } from '../../model/index.ts';
import { createManualClock } from '../../std/index.ts';
import type { ToParent, ToWorker } from './messages.ts';
import { createSharedCounts } from './shared-counts.ts';
import { createSharedDoors } from './shared-doors.ts';
import { createWorkerCompanions, wordFrom } from './worker-companions.ts';

// Goal: what a worker is answered is what its parent counts, and what no limit counts is not asked.

const web = { identity: 'spiffe://example.org/web', target: 'shop' };
const quota = (unit: Quota['unit'], most: number): Quota => ({ policy: 'p1', unit, most });

/** A worker whose messages pass as JSON, and what it has sent. */
function start() {
  const counts = createSharedCounts({
    clock: createManualClock(0),
    limits: { sessionsMax: 1, sessionsPerIdentityMax: 1 },
    doors: createSharedDoors(() => () => {}),
  });
  const sent: ToParent[] = [];
  let hear: (message: ToWorker) => void = () => {};
  const companions = createWorkerCompanions({
    hear: (listener) => {
      hear = listener;
    },
    send(message) {
      sent.push(message);
      if (message.kind === 'leave') counts.leave(1, message.id);
      if (message.kind !== 'ask') return;
      const reply = counts.answer(1, message.id, message.ask);
      queueMicrotask(() => hear(JSON.parse(JSON.stringify({ kind: 'reply', id: message.id, reply }))));
    },
  });
  return { companions, sent };
}

describe('a worker', () => {
  it('asks before an operation that a rate limits, and before no other', async () => {
    const { companions, sent } = start();
    expect(companions.quotas.take(web, [{ quota: quota('sessions', 1), times: 1 }])).toBeUndefined();
    expect(sent).toEqual([]);
    expect(await companions.quotas.take(web, [{ quota: quota('rate', 1), times: 1 }])).toBeUndefined();
    expect(await companions.quotas.take(web, [{ quota: quota('rate', 1), times: 2 }])).toEqual({
      ...{ policy: 'p1', unit: 'rate', most: 1, retryMs: undefined },
    });
  });

  it('asks for a session that a permit limits, and for no other, and gives it back once', async () => {
    const { companions, sent } = start();
    expect(companions.quotas.enter(web, [quota('rate', 1)])).toHaveProperty('leave');
    expect(sent).toEqual([]);
    const place = await companions.quotas.enter(web, [quota('sessions', 1)]);
    expect(await companions.quotas.enter(web, [quota('sessions', 1)])).toMatchObject({ unit: 'sessions', most: 1 });
    for (let n = 0; n < 3; n++) if ('leave' in place) place.leave();
    expect(sent.filter(({ kind }) => kind === 'leave')).toHaveLength(1);
    expect(await companions.quotas.enter(web, [quota('sessions', 1)])).toHaveProperty('leave');
  });

  it('has a session of the gateway, or is told why not', async () => {
    const { companions } = start();
    const place = await companions.enter(web.identity);
    expect(await companions.enter(web.identity)).toMatchObject({ code: 'limit' });
    if ('leave' in place) place.leave();
    expect(await companions.enter(web.identity)).toHaveProperty('leave');
  });

  it('has a door, or is told why not, and gives it back', async () => {
    const { companions } = start();
    const door = { target: 'shop', address: '127.0.0.1', port: 5433 };
    const place = await companions.takeDoor(door);
    await expect(companions.takeDoor({ ...door, target: 'books' })).rejects.toMatchObject({
      code: 'ERR_GATEWAY_LISTEN',
      message: "can't listen on 127.0.0.1 port 5433: it is the door of target shop",
    });
    place.leave();
    await companions.takeDoor({ ...door, target: 'books' });
  });

  it('passes words on as they are', () => {
    const { companions, sent } = start();
    const word = { ...web, bytes: Buffer.from([0, 255, 10]) };
    companions.passOn(word);
    const [message] = sent;
    expect(message?.kind === 'word' && wordFrom(JSON.parse(JSON.stringify(message.word)))).toEqual(word);
  });
});
