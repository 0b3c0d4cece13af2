import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import type { JwtAuthority, Revocation, RevocationState } from '../model/index.ts';
import { createManualClock, createSilentLog, createSystemRandom, type ManualClock } from '../std/index.ts';
import { signJwt } from '../wire/jose/index.ts';
import {
  type RevocationUpdate,
  revocationClaims,
  revocationFeed,
  type ToldRevocations,
} from '../wire/revocations/index.ts';
import type { KeptRevocations } from './kept-revocations.ts';
import { createKnownRevocations } from './known-revocations.ts';
import { createRevocationWatch, type RevocationWatch, type WatchRequest } from './watch-revocations.ts';

// Goal: what a verifier knows only goes on, whatever comes by the stream, over restarts too; and it says that it is in force when it is.

const WEB = 'spiffe://example.org/web';
const STORE = 'a'.repeat(32);
const OTHER_STORE = 'b'.repeat(32);
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const AUTHORITY: JwtAuthority = {
  ...{ keyId: 'k1', publicKeyDer: publicKey.export({ format: 'der', type: 'spki' }), expiresAtS: 0, tainted: false },
};

function markOf(sequence: number, line = 'c'): string {
  return sequence === 0 ? '' : line.repeat(16) + sequence.toString(16).padStart(16, '0');
}

function revocation(sequence: number, given: Partial<Revocation> = {}): Revocation {
  return {
    ...{ id: `r${sequence}`, subject: { kind: 'identity', spiffeId: WEB }, mode: 'revoked', allow: [] },
    ...{ running: 'end', reason: '', by: 'ann', sequence, atMs: 0 },
    ...given,
  };
}

function stateOf(
  sequence: number,
  revocations: readonly Revocation[] = [],
  given: Partial<RevocationState> = {},
): RevocationState {
  return { incarnation: STORE, sequence, mark: markOf(sequence), issuedAtMs: 1_000_000, revocations, ...given };
}

/** One stream as a server has it: messages are signed for it, in their order. */
interface Stream {
  readonly request: WatchRequest;
  readonly isOpen: boolean;
  full(state: RevocationState, told?: Partial<ToldRevocations>): RevocationUpdate;
  delta(
    state: RevocationState,
    change?: { added?: readonly Revocation[]; lifted?: readonly string[] },
    told?: Partial<ToldRevocations>,
  ): RevocationUpdate;
  send(update: RevocationUpdate): Promise<void>;
  end(): void;
}

interface Disk {
  state: RevocationState | undefined;
  failsWith?: Error;
  /** A write that hangs until it resolves. */
  hangs?: Promise<void>;
}

interface Verifier {
  readonly clock: ManualClock;
  readonly known: ReturnType<typeof createKnownRevocations>;
  readonly watch: RevocationWatch;
  readonly acks: number[];
  readonly streams: Stream[];
  /** The newest stream, once there are so many. */
  stream(nth?: number): Promise<Stream>;
  /** What is in effect; sessions that end take as long as that is undefined. */
  settle: (() => Promise<void>) | undefined;
}

const started: RevocationWatch[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((watch) => watch.stop()));
});

async function start(disk: Disk = { state: undefined }): Promise<Verifier> {
  const clock = createManualClock(1_000_000);
  const log = createSilentLog();
  const known = createKnownRevocations({ clock, log });
  const kept: KeptRevocations = {
    read: async () => disk.state,
    async write(state) {
      if (disk.failsWith !== undefined) throw disk.failsWith;
      await disk.hangs;
      disk.state = state;
    },
  };
  const [acks, streams]: [number[], Stream[]] = [[], []];
  const watch = createRevocationWatch({
    ...{ clock, log, known, kept, random: createSystemRandom(), trustDomain: 'example.org' },
    authorities: () => [AUTHORITY],
    open: (request, signal) => openStream(request, signal, streams),
    acknowledge: async ({ sequence }) => void acks.push(sequence),
    inEffect: () => verifier.settle?.() ?? Promise.resolve(),
  });
  const verifier: Verifier = {
    ...{ clock, known, watch, acks, streams, settle: undefined },
    async stream(nth = 1) {
      for (let tries = 0; streams.length < nth; tries++) {
        if (tries > 100) throw new Error(`there are ${streams.length} streams`);
        await turn();
        if (tries > 2) await clock.advance(500);
      }
      const newest = streams.at(-1);
      if (newest === undefined) throw new Error('there is none');
      return newest;
    },
  };
  started.push(watch);
  await watch.start(new AbortController().signal);
  return verifier;
}

async function* openStream(request: WatchRequest, signal: AbortSignal, streams: Stream[]) {
  const queue: RevocationUpdate[] = [];
  let wake: () => void = () => {};
  let [isOver, count, last] = [false, 0, { sequence: request.sequence, mark: request.mark }];
  const sign = (told: ToldRevocations): RevocationUpdate => {
    const { claims, body } = revocationClaims(told, {
      trustDomain: 'example.org',
      nonce: request.nonce,
      count: count++,
    });
    last = told.state;
    return {
      statement: signJwt({ algorithm: 'ES256', keyId: 'k1', key: privateKey, type: revocationFeed.type, claims }),
      body,
    };
  };
  const stream: Stream = {
    request,
    get isOpen() {
      return !isOver;
    },
    full: (state, told) =>
      sign({ state, follows: [], from: last, what: { kind: 'full', revocations: state.revocations }, ...told }),
    delta: (state, { added = [], lifted = [] } = {}, told = {}) =>
      sign({ state, follows: [], from: last, what: { kind: 'delta', added, lifted }, ...told }),
    async send(update) {
      queue.push(update);
      wake();
      await turn();
    },
    end() {
      isOver = true;
      wake();
    },
  };
  streams.push(stream);
  const onAbort = () => stream.end();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    while (!isOver) {
      const next = queue.shift();
      if (next === undefined) await new Promise<void>((resolve) => (wake = resolve));
      else yield next;
    }
  } finally {
    isOver = true;
  }
}

/** What is to happen by itself has. */
async function turn(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
}

const refused = { code: 'ERR_REVOCATIONS_REFUSED' };

describe('the feed', () => {
  it('is in force as it comes, whole and by differences, and acknowledged with each change', async () => {
    const { known, stream, acks, watch } = await start();
    const feed = await stream();
    expect(feed.request).toMatchObject({ incarnation: '', sequence: 0, mark: '' });
    const heard: number[] = [];
    known.onChange(() => heard.push(known.sequence));
    await feed.send(feed.full(stateOf(1, [revocation(1)])));
    expect(known.verdictOn({ spiffeId: WEB })).toMatchObject({ mode: 'revoked' });
    await feed.send(feed.delta(stateOf(2), { added: [revocation(2, { subject: { kind: 'node', nodeId: WEB } })] }));
    await feed.send(feed.delta(stateOf(3), { lifted: ['r1'] }));
    await feed.send(feed.delta(stateOf(3)));
    expect(known.verdictOn({ spiffeId: WEB })).toBeUndefined();
    expect(known.verdictOn({ nodeId: WEB })).toMatchObject({ revocations: [{ id: 'r2' }] });
    expect([heard, acks, watch.acknowledged()]).toEqual([[1, 2, 3], [1, 2, 3], 3]);
  });

  it('is acknowledged when sessions are over, not before, and by the newest of several', async () => {
    const verifier = await start();
    const { stream, acks, known } = verifier;
    const over = Promise.withResolvers<void>();
    verifier.settle = () => over.promise;
    const feed = await stream();
    await feed.send(feed.full(stateOf(1, [revocation(1)])));
    await feed.send(feed.delta(stateOf(2), { lifted: ['r1'] }));
    expect([known.sequence, acks]).toEqual([2, []]);
    over.resolve();
    await turn();
    expect(acks.at(-1)).toBe(2);
  });

  it('is not acknowledged while it can not be kept, but in force; it is as soon as it can', async () => {
    const disk: Disk = { state: undefined, failsWith: new Error('full') };
    const { stream, acks, known, watch, clock } = await start(disk);
    const feed = await stream();
    await feed.send(feed.full(stateOf(1, [revocation(1)])));
    expect([known.sequence, acks]).toEqual([1, []]);
    expect(watch.keepProblem()).toBe(disk.failsWith);
    delete disk.failsWith;
    await clock.advance(1_000);
    await turn();
    expect([acks, disk.state?.sequence, watch.keepProblem()]).toEqual([[1], 1, undefined]);
  });

  it('comes by the next stream while a write to the disk hangs, and the newest is kept and acknowledged once it goes on', async () => {
    let goOn = () => {};
    const hangs = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const disk: Disk = { state: undefined, hangs };
    const { stream, known, acks } = await start(disk);
    const first = await stream();
    await first.send(first.full(stateOf(1, [revocation(1)])));
    first.end();
    const second = await stream(2);
    await second.send(second.full(stateOf(2, [revocation(1), revocation(2)])));
    expect([known.sequence, acks, disk.state]).toEqual([2, [], undefined]);
    goOn();
    await expect.poll(() => [acks, disk.state?.sequence]).toEqual([[2], 2]);
  });

  it('is acknowledged anew on each stream, where nothing has changed', async () => {
    const { stream, acks } = await start();
    const first = await stream();
    await first.send(first.full(stateOf(1, [revocation(1)])));
    first.end();
    const second = await stream(2);
    await second.send(second.full(stateOf(1, [revocation(1)])));
    expect(acks).toEqual([1, 1]);
  });
});

describe('what is older than what is known', () => {
  const known2 = async () => {
    const disk: Disk = { state: undefined };
    const verifier = await start(disk);
    const feed = await verifier.stream();
    await feed.send(feed.full(stateOf(1, [revocation(1)])));
    const seen = feed.delta(stateOf(2), { added: [revocation(2)] });
    await feed.send(seen);
    return { ...verifier, feed, seen, disk };
  };

  it.each<[string, (feed: Stream, seen: RevocationUpdate) => RevocationUpdate]>([
    ['a message that came before', (_, seen) => seen],
    ['a smaller sequence', (feed) => feed.full(stateOf(1, []))],
    ['the same sequence of another history', (feed) => feed.full(stateOf(2, [], { mark: markOf(2, 'd') }))],
    [
      'a later one of another history',
      (feed) => feed.full(stateOf(5), { from: { sequence: 2, mark: markOf(2, 'd') } }),
    ],
    ['a difference from what was not told', (feed) => feed.delta(stateOf(4), {}, { from: stateOf(3) })],
    ['another store', (feed) => feed.full(stateOf(9, [], { incarnation: OTHER_STORE }))],
    ['what nobody of the trust domain has signed', (feed) => ({ ...feed.delta(stateOf(2)), statement: 'e30.e30.e30' })],
    [
      'another body than was signed',
      (feed) => ({ ...feed.delta(stateOf(3), { lifted: ['r1'] }), body: Buffer.from('{}') }),
    ],
  ])('is refused with its stream, and what is known stays: %s', async (_, message) => {
    const { feed, seen, known, watch } = await known2();
    await feed.send(message(feed, seen));
    expect(watch.problem()?.error).toMatchObject(refused);
    expect(feed.isOpen).toBe(false);
    expect(known.sequence).toBe(2);
    expect(known.verdictOn({ spiffeId: WEB })).toMatchObject({ revocations: [{ id: 'r1' }, { id: 'r2' }] });
  });

  it('is refused after a restart as well, which asks with what it knows', async () => {
    const { disk, watch } = await known2();
    await watch.stop();
    const again = await start(disk);
    expect(again.known.verdictOn({ spiffeId: WEB })).toMatchObject({ mode: 'revoked' });
    const feed = await again.stream();
    expect(feed.request).toMatchObject({ incarnation: STORE, sequence: 2, mark: markOf(2) });
    await feed.send(feed.full(stateOf(1), { from: { sequence: 0, mark: '' } }));
    expect(again.watch.problem()?.error).toMatchObject(refused);
    expect([again.known.sequence, again.acks]).toEqual([2, []]);
  });

  it('is a store that an operator put back no longer, once the new one says that it follows', async () => {
    const { feed, known } = await known2();
    const next = stateOf(1, [], { incarnation: OTHER_STORE });
    await feed.send(feed.full(next, { follows: [STORE] }));
    expect(known.state).toMatchObject({ incarnation: OTHER_STORE, sequence: 1 });
    expect(known.verdictOn({ spiffeId: WEB })).toBeUndefined();
  });

  it('is anything on a stream of which one message was refused', async () => {
    const { feed, known } = await known2();
    const good = feed.delta(stateOf(3), { lifted: ['r1'] });
    await feed.send({ statement: 'x', body: Buffer.alloc(0) });
    await feed.send(good);
    expect(known.sequence).toBe(2);
  });
});

describe('how old what is known is', () => {
  it('is unknown before the first message, also of what was kept', async () => {
    const { known } = await start({ state: stateOf(2, [revocation(2)]) });
    expect([known.sequence, known.ageMs()]).toEqual([2, Number.POSITIVE_INFINITY]);
  });

  it('is the time since the stream was asked for, and then as much less as the server says went by', async () => {
    const { known, stream, clock } = await start();
    const feed = await stream();
    await clock.advance(400);
    await feed.send(feed.full(stateOf(1)));
    expect(known.ageMs()).toBe(400);
    await clock.advance(3_000);
    await feed.send(feed.delta(stateOf(1, [], { issuedAtMs: 1_003_000 })));
    expect(known.ageMs()).toBe(400);
  });

  it('is not less for a message that lay somewhere: this process stood still, or somebody holds the stream back', async () => {
    const { known, stream, clock } = await start();
    const feed = await stream();
    await feed.send(feed.full(stateOf(1)));
    const late = feed.delta(stateOf(1, [], { issuedAtMs: 1_003_000 }));
    await clock.advance(10_000);
    await feed.send(late);
    expect(known.ageMs()).toBe(7_000);
  });

  it('does not follow a clock that is set, here or at the server', async () => {
    const { known, stream, clock } = await start();
    const feed = await stream();
    await feed.send(feed.full(stateOf(1)));
    await clock.advance(3_000);
    await feed.send(feed.delta(stateOf(1, [], { issuedAtMs: 9_000_000 })));
    expect(known.ageMs()).toBe(0);
    await clock.advance(3_000);
    await feed.send(feed.delta(stateOf(1, [], { issuedAtMs: 0 })));
    expect(known.ageMs()).toBe(3_000);
  });

  it('grows while the server is silent, which is asked anew after a while', async () => {
    const { known, stream, clock, watch } = await start();
    const feed = await stream();
    await feed.send(feed.full(stateOf(1)));
    await clock.advance(15_000);
    await turn();
    expect([known.ageMs(), feed.isOpen]).toEqual([15_000, false]);
    expect(watch.problem()?.error).toMatchObject({ code: 'ERR_REVOCATIONS_SILENT' });
  });
});

describe('any feed', () => {
  /** What may come next: of a server, of one who has recorded it, or of one whose store was put back. */
  const step = fc.oneof(
    fc.constant('add' as const),
    fc.constant('lift' as const),
    fc.constant('heartbeat' as const),
    fc.constant('full' as const),
    fc.constant('replay' as const),
    fc.constant('gap' as const),
    fc.constant('rolled-back' as const),
    fc.constant('fork' as const),
    fc.constant('other-store' as const),
    fc.constant('reconnect' as const),
    fc.constant('restart' as const),
  );

  it('leaves what is known as a list of what was added and not lifted is, and the sequence never smaller', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        const disk: Disk = { state: undefined };
        let verifier = await start(disk);
        let [sequence, standing]: [number, Revocation[]] = [1, [revocation(1)]];
        let [streams, sent]: [number, RevocationUpdate[]] = [1, []];
        let feed = await verifier.stream();
        const told = () => stateOf(sequence, standing);
        const say = async (update: RevocationUpdate) => {
          sent.push(update);
          await feed.send(update);
        };
        await say(feed.full(told()));
        const again = async () => {
          feed = await verifier.stream(++streams);
          sent = [];
          await say(feed.full(told()));
        };
        for (const next of steps) {
          const before = verifier.known.sequence;
          switch (next) {
            case 'add': {
              const added = revocation(++sequence, {
                subject: { kind: 'identity', spiffeId: `${WEB}/${sequence % 3}` },
              });
              standing = [...standing, added];
              await say(feed.delta(stateOf(sequence), { added: [added] }));
              break;
            }
            case 'lift': {
              const [first, ...others] = standing;
              if (first === undefined) break;
              standing = others;
              await say(feed.delta(stateOf(++sequence), { lifted: [first.id] }));
              break;
            }
            case 'heartbeat':
              await say(feed.delta(told()));
              break;
            case 'full':
              await say(feed.full(told()));
              break;
            case 'replay':
              await feed.send(sent[0] ?? feed.full(told()));
              await again();
              break;
            case 'gap':
              await feed.send(feed.delta(stateOf(sequence + 2), {}, { from: stateOf(sequence + 1) }));
              await again();
              break;
            case 'rolled-back':
              await feed.send(feed.full(stateOf(sequence - 1, [])));
              await again();
              break;
            case 'fork':
              await feed.send(feed.full(stateOf(sequence, [], { mark: markOf(sequence, 'd') })));
              await again();
              break;
            case 'other-store':
              await feed.send(feed.full(stateOf(sequence + 5, [], { incarnation: OTHER_STORE })));
              await again();
              break;
            case 'reconnect':
              feed.end();
              await again();
              break;
            case 'restart':
              await verifier.watch.stop();
              verifier = await start(disk);
              streams = 0;
              expect(verifier.known.sequence).toBe(before);
              await again();
              break;
            default:
              next satisfies never;
          }
          expect(verifier.known.sequence).toBeGreaterThanOrEqual(before);
          expect(verifier.known.state?.sequence).toBe(sequence);
          for (const spiffeId of [WEB, `${WEB}/0`, `${WEB}/1`, `${WEB}/2`]) {
            const found = verifier.known.verdictOn({ spiffeId })?.revocations.map(({ id }) => id) ?? [];
            const naive = standing.filter(
              ({ subject }) => subject.kind === 'identity' && subject.spiffeId === spiffeId,
            );
            expect(found).toEqual(naive.map(({ id }) => id));
          }
        }
        expect(verifier.acks.at(-1)).toBe(sequence);
        await verifier.watch.stop();
      }),
      { numRuns: 60 },
    );
  });
});
