import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { PeerProcess } from '../attestation/index.ts';
import { createManualClock, createSilentLog } from '../std/index.ts';
import { createCallers, type OpenAttestor } from './callers.ts';
import { createCounters } from './counters.ts';

const signal = new AbortController().signal;

function setUp(
  attestors: OpenAttestor[],
  readPeer: () => PeerProcess = () => peer(),
  endOfTurn: (run: () => void) => void = setImmediate,
) {
  const deps = { clock: createManualClock(0), log: createSilentLog(), counters: createCounters() };
  return createCallers({ ...deps, attestors, readPeer, endOfTurn });
}

function peer(change: Partial<PeerProcess> = {}): PeerProcess {
  return {
    pid: 7,
    uid: 1000,
    gid: 1000,
    groups: [],
    executable: () => undefined,
    alive: () => true,
    close: () => {},
    ...change,
  };
}

const works: OpenAttestor = { id: 'a', attest: async () => [{ type: 'a', value: '1' }] };
const fails: OpenAttestor = {
  id: 'b',
  attest: () => Promise.reject(new Error('broken')),
};

describe('callers', () => {
  it('are what all attestors together can prove', async () => {
    const more: OpenAttestor = { id: 'c', attest: async () => [{ type: 'c', value: '2' }] };
    const caller = setUp([works, more]).accept(new Socket());
    expect(await caller.selectors(signal)).toEqual([
      { type: 'a', value: '1' },
      { type: 'c', value: '2' },
    ]);
  });

  it('lose only what a failing attestor would have proven, and are refused when all fail', async () => {
    expect(await setUp([works, fails]).accept(new Socket()).selectors(signal)).toEqual([{ type: 'a', value: '1' }]);
    const refused = setUp([fails]).accept(new Socket()).selectors(signal);
    await expect(refused).rejects.toMatchObject({ code: 'ERR_AGENT_CALLER' });
  });

  it('are attested again on the same connection after a failure, and only then', async () => {
    let runs = 0;
    const second: OpenAttestor = { id: 'a', attest: async () => (++runs === 1 ? Promise.reject(new Error('no')) : []) };
    const caller = setUp([second]).accept(new Socket());
    await expect(caller.selectors(signal)).rejects.toMatchObject({ code: 'ERR_AGENT_CALLER' });
    await caller.selectors(signal);
    await caller.selectors(signal);
    expect(runs).toBe(2);
  });

  it('are one of many from the third connection of their user on, while the others are open', () => {
    let uid = 1000;
    const callers = setUp([works], () => peer({ uid }));
    const open = () => callers.accept(new Socket());
    const [first, second, third] = [open(), open(), open()];
    expect([first, second, third].map(({ isOneOfMany }) => isOneOfMany)).toEqual([false, false, true]);
    uid = 1001;
    expect(open().isOneOfMany).toBe(false);
    uid = 1000;
    first.close();
    second.close();
    expect(open().isOneOfMany).toBe(false);
  });

  it('are refused when the kernel does not tell them, or they have ended', async () => {
    const unknown = setUp([works], () => {
      throw new Error('no credentials');
    });
    expect(() => unknown.accept(new Socket())).toThrowError(expect.objectContaining({ code: 'ERR_AGENT_CALLER' }));
    const dead = setUp([works], () => peer({ alive: () => false })).accept(new Socket());
    await expect(dead.selectors(signal)).rejects.toMatchObject({ code: 'ERR_AGENT_CALLER' });
    expect(() => dead.assertAlive()).toThrowError(expect.objectContaining({ code: 'ERR_AGENT_CALLER' }));
  });

  it('are looked at once in a turn of the event loop, however often they ask, and afresh in the next', async () => {
    let looks = 0;
    let alive = true;
    let endTurn = () => {};
    const alone = () => {
      looks++;
      return alive;
    };
    const callers = setUp(
      [works],
      () => peer({ alive: alone }),
      (run) => {
        endTurn = run;
      },
    );
    const caller = callers.accept(new Socket());
    expect(caller.known()).toBeUndefined();
    await caller.selectors(signal);
    looks = 0;
    for (let n = 0; n < 100; n++) expect(caller.known()).toEqual([{ type: 'a', value: '1' }]);
    expect(looks).toBe(0);
    endTurn();
    for (let n = 0; n < 100; n++) caller.assertAlive();
    expect(looks).toBe(1);
    alive = false;
    caller.assertAlive();
    endTurn();
    for (let n = 0; n < 2; n++) {
      expect(() => caller.known()).toThrowError(expect.objectContaining({ code: 'ERR_AGENT_CALLER' }));
    }
    expect(looks).toBe(3);
  });

  it('are looked at afresh once attested, even in the turn in which they were found alive', async () => {
    let alive = true;
    const dies: OpenAttestor = {
      id: 'dies',
      attest: async () => {
        alive = false;
        return [];
      },
    };
    const callers = setUp(
      [dies],
      () => peer({ alive: () => alive }),
      () => {},
    );
    const refused = callers.accept(new Socket()).selectors(signal);
    await expect(refused).rejects.toMatchObject({ code: 'ERR_AGENT_CALLER' });
  });

  it('are attested a few at a time for each user, so that the slow ones of one do not hold up another', async () => {
    const begun: number[] = [];
    const slow: OpenAttestor = {
      id: 'slow',
      attest: ({ uid }) => {
        begun.push(uid);
        return uid === 1000 ? new Promise(() => {}) : Promise.resolve([{ type: 'a', value: '1' }]);
      },
    };
    let uid = 1000;
    const callers = setUp([slow], () => peer({ uid }));
    const crowd = Array.from({ length: 200 }, () => callers.accept(new Socket()));
    const waiting = crowd.map((caller) => caller.selectors(signal).catch(() => {}));
    uid = 2000;
    expect(await callers.accept(new Socket()).selectors(signal)).toHaveLength(1);
    expect(begun.filter((one) => one === 1000)).toHaveLength(4);
    for (const caller of crowd) caller.close();
    await Promise.all(waiting);
    uid = 1000;
    void callers
      .accept(new Socket())
      .selectors(signal)
      .catch(() => {});
    await expect.poll(() => begun.filter((one) => one === 1000)).toHaveLength(5);
  });

  it('have so many connections a user and no more, and get them back', () => {
    let closed = 0;
    const callers = setUp([works], () => peer({ close: () => closed++ }));
    const open = Array.from({ length: 2_048 }, () => callers.accept(new Socket()));
    expect(() => callers.accept(new Socket())).toThrowError(expect.objectContaining({ code: 'ERR_AGENT_BUSY' }));
    expect(closed).toBe(1);
    open[0]?.close();
    open[0]?.close();
    callers.accept(new Socket());
    expect(() => callers.accept(new Socket())).toThrowError(expect.objectContaining({ code: 'ERR_AGENT_BUSY' }));
  });

  it('of users who have few get in when two users have taken half of all places', () => {
    let uid = 1000;
    const callers = setUp([works], () => peer({ uid }));
    const take = (who: number, count: number) => {
      uid = who;
      return Array.from({ length: count }, () => callers.accept(new Socket()));
    };
    const [first] = take(1000, 2_048);
    take(2000, 2_048);
    take(3000, 64);
    expect(() => callers.accept(new Socket())).toThrowError(expect.objectContaining({ code: 'ERR_AGENT_BUSY' }));
    take(4000, 64);
    uid = 1000;
    first?.close();
    expect(() => callers.accept(new Socket())).toThrowError(expect.objectContaining({ code: 'ERR_AGENT_BUSY' }));
  });
});
