import { createServer, type Socket } from 'node:net';
import { parseSpiffeId } from '@countersign/sdk/identity';
import type { LedgerEvent } from '../../../../model/index.ts';
import {
  type Clock,
  createCacheBudget,
  createSilentLog,
  createSystemClock,
  createSystemRandom,
  type Log,
  Secret,
} from '../../../../std/index.ts';
import { createHeldBytes } from '../../../held-bytes.ts';
import { createLedgerTurn } from '../../../ledger-turn.ts';
import type { TargetPolicies } from '../../../protocol.ts';
import type { Durability, OperationEvent, SessionLedger, SessionPolicy } from '../../../session.ts';
import { SessionEnd } from '../../../session.ts';
import { openTarget } from '../target.ts';

/** A ledger that keeps its events in memory; `failure` makes announcements fail, `hold` keeps entries from being synced. */
export interface TestLedger {
  readonly events: LedgerEvent[];
  failure: Error | undefined;
  durability: { reads: Durability; changes: Durability };
  hold(): () => void;
  readonly session: SessionLedger;
}

export function createTestLedger(): TestLedger {
  const events: LedgerEvent[] = [];
  let gate: Promise<void> = Promise.resolve();
  let synced = -1;
  let held = false;
  // Only what announces can be made to fail: the room for outcomes is promised.
  const appendAll = (more: readonly LedgerEvent[]): number => {
    if (ledger.failure !== undefined && more.some(({ kind }) => kind !== 'outcome' && kind !== 'session-close')) {
      throw ledger.failure;
    }
    return events.push(...more) - more.length;
  };
  const turn = createLedgerTurn({ ledger: { appendAll } });
  const ledger: TestLedger = {
    events,
    failure: undefined,
    durability: { reads: 'process', changes: 'release' },
    hold() {
      held = true;
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return () => {
        held = false;
        resolve();
      };
    },
    session: {
      append(more) {
        turn.flush();
        return appendAll(complete(more)) + more.length - 1;
      },
      record: (more, recorded) => turn.add(complete(more), recorded),
      flush: () => turn.flush(),
      async synced(sequence) {
        await gate;
        synced = Math.max(synced, sequence);
      },
      get syncedSequence() {
        return held ? synced : events.length - 1;
      },
      durability: (changes) => (changes ? ledger.durability.changes : ledger.durability.reads),
      seal: (withheld) => JSON.stringify(withheld),
    },
  };
  return ledger;
}

function complete(events: readonly OperationEvent[]): LedgerEvent[] {
  return events.map((event) => ({ ...event, timeMs: 0, actor: '', target: '', session: '' }));
}

/** A target behind a plain TCP port: what comes in is served as an authenticated session. */
export async function startTarget(options: {
  config: Record<string, unknown>;
  policy?: Partial<SessionPolicy>;
  /** The whole of it, as a session of a gateway has it. */
  sessionPolicy?: SessionPolicy;
  policies?: TargetPolicies;
  log?: Log;
  env?: Readonly<Record<string, string>>;
  clock?: Clock;
  heldBytesMax?: number;
}) {
  const ledger = createTestLedger();
  const held = createHeldBytes(options.heldBytesMax ?? Number.MAX_SAFE_INTEGER);
  const end = new AbortController();
  const drain = new AbortController();
  const policyListeners = new Set<() => void>();
  const policy: SessionPolicy = options.sessionPolicy ?? {
    version: 1,
    principalKey: 'spiffe://example.org/web',
    decide: () => ({
      allow: true,
      policies: ['p1'],
      obligations: { masks: new Map(), rowsMax: undefined, record: 'digest' },
    }),
    potentialMasks: () => [],
    onChange(listener) {
      policyListeners.add(listener);
      return () => void policyListeners.delete(listener);
    },
    ...options.policy,
  };
  const target = openTarget(options.config, {
    name: 'db',
    clock: options.clock ?? createSystemClock(),
    random: createSystemRandom(),
    log: options.log ?? createSilentLog(),
    secrets: {
      resolve: async (reference) => Secret.fromText(options.env?.[reference] ?? ''),
    },
    policies: options.policies ?? { names: () => undefined, onChange: () => () => {} },
    caches: createCacheBudget(1 << 20),
    maskKey: new Secret(Buffer.alloc(32, 1)),
    attempted: () => {},
  });
  const running = new Set<Promise<void>>();
  const sockets = new Set<Socket>();
  let identity = 'spiffe://example.org/web';
  let isAside = false;
  const server = createServer({ noDelay: true, pauseOnConnect: true, allowHalfOpen: true }, (client) => {
    sockets.add(client);
    const memory = held.open(() => end.abort(new SessionEnd({ code: 'memory', what: 'too much is held' })));
    const served = target.serve({
      ...{ id: `s${running.size}`, identity: parseSpiffeId(identity), client, door: 'agent', isAside },
      policy,
      ledger: ledger.session,
      signal: end.signal,
      drain: drain.signal,
      memory,
    });
    running.add(served.finally(() => memory.close()));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    port,
    ledger,
    policy,
    target,
    setIdentity(uri: string) {
      identity = uri;
    },
    /** From now on nobody comes but for words about sessions that there are. */
    onlyAside() {
      isAside = true;
    },
    policyChanged: () => {
      for (const listener of [...policyListeners]) listener();
    },
    end: () => end.abort(new SessionEnd({ code: 'shutdown', what: 'told to end' })),
    drain: () => drain.abort(new SessionEnd({ code: 'shutdown', what: 'told to drain' })),
    heldBytes: () => held.bytes,
    served: () => Promise.all(running),
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await Promise.all(running);
      await target.close();
    },
  };
}

/** Events of one kind, with what tests ask about. */
export function kinds(events: readonly LedgerEvent[], kind: LedgerEvent['kind']) {
  return events.filter((event) => event.kind === kind);
}
