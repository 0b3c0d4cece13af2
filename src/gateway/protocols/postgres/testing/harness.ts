import { createServer, type Socket } from 'node:net';
import { parseSpiffeId } from '@countersign/sdk/identity';
import { type LedgerEvent, noObligations } from '../../../../model/index.ts';
import type { PolicySchema } from '../../../../policy/index.ts';
import {
  type Clock,
  createCacheBudget,
  createListeners,
  createSilentLog,
  createSystemClock,
  createSystemRandom,
  type Log,
  Secret,
} from '../../../../std/index.ts';
import type { Approvals } from '../../../approvals/approvals.ts';
import { createMemoryBudget } from '../../../capacity/memory-budget.ts';
import type { TargetPolicies } from '../../../protocol.ts';
import { createQuotas, type OwnQuotas, type Quotas } from '../../../sessions/quotas.ts';
import { SessionEnd, type SessionPolicy } from '../../../sessions/session.ts';
import { createTestGate } from '../../../testing/test-gate.ts';
import { createTestLedger } from '../../../testing/test-ledger.ts';
import { openTarget } from '../target.ts';

/** A target behind a plain TCP port: what comes in is served as an authenticated session. */
export async function startTarget(options: {
  config: Record<string, unknown>;
  policy?: Partial<SessionPolicy>;
  /** The whole of it, as a session of a gateway has it, and the schema by which ids tell resources. */
  sessionPolicy?: SessionPolicy;
  schema?: PolicySchema;
  policies?: TargetPolicies;
  log?: Log;
  env?: Readonly<Record<string, string>>;
  clock?: Clock;
  heldBytesMax?: number;
  /** Counts in place of those that are given. */
  quotas?: (own: OwnQuotas) => Quotas;
  /** Who is asked to approve. */
  approvals?: Approvals;
}) {
  const { clock = createSystemClock(), log = createSilentLog() } = options;
  const ledger = createTestLedger();
  const budget = createMemoryBudget(options.heldBytesMax ?? Number.MAX_SAFE_INTEGER);
  const own = createQuotas(clock);
  const quotas = options.quotas?.(own) ?? own;
  const [end, drain] = [new AbortController(), new AbortController()];
  const policyListeners = createListeners();
  const policy: SessionPolicy = options.sessionPolicy ?? {
    ...{ version: 1, policySet: undefined },
    principalKey: 'spiffe://example.org/web',
    decide: () => ({ allow: true, policies: ['p1'], obligations: noObligations }),
    potentialMasks: () => [],
    onChange: policyListeners.add,
    ...options.policy,
  };
  const target = openTarget(options.config, {
    name: 'db',
    clock,
    random: createSystemRandom(),
    log,
    secrets: { resolve: async (reference) => Secret.fromText(options.env?.[reference] ?? '') },
    policies: options.policies ?? { names: () => undefined, onChange: () => () => {} },
    caches: createCacheBudget(1 << 20),
    maskKey: new Secret(Buffer.alloc(32, 1)),
    identity: { current: () => undefined },
    attempted: () => {},
  });
  const running = new Set<Promise<void>>();
  const sockets = new Set<Socket>();
  let identity = 'spiffe://example.org/web';
  let isAside = false;
  const server = createServer({ noDelay: true, pauseOnConnect: true, allowHalfOpen: true }, (client) => {
    sockets.add(client);
    const memory = budget.open(() => end.abort(new SessionEnd({ code: 'memory', what: 'too much is held' })));
    const gate = createTestGate(ledger.session, {
      ...{ clock, log, policy, end, quotas, schema: options.schema },
      ...{ approvals: options.approvals, drain: drain.signal, protocol: 'postgres' },
    });
    const served = target.serve({
      ...{ id: `s${running.size}`, identity: parseSpiffeId(identity), client, door: 'agent', isAside },
      ...{ policy, gate, memory },
      signal: end.signal,
      drain: drain.signal,
    });
    const over = served.finally(() => {
      gate.close();
      memory.close();
    });
    running.add(over);
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
    policyChanged: () => policyListeners.tell(),
    end: () => end.abort(new SessionEnd({ code: 'shutdown', what: 'told to end' })),
    drain: () => drain.abort(new SessionEnd({ code: 'shutdown', what: 'told to drain' })),
    heldBytes: () => budget.bytes,
    served: () => Promise.all(running),
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await Promise.all(running);
      await target.close();
    },
  };
}

/** What only this protocol says of an event. */
export function ownOf({ postgres }: LedgerEvent['detail']): LedgerEvent['detail'] {
  return typeof postgres === 'object' && postgres !== null && !Array.isArray(postgres)
    ? (postgres as LedgerEvent['detail'])
    : {};
}

/** The kind of the statement that an event is about. */
export function statementOf(detail: LedgerEvent['detail']) {
  return ownOf(detail)['statement'];
}

/** Events of one kind, with what tests ask about. */
export function kinds(events: readonly LedgerEvent[], kind: LedgerEvent['kind']) {
  return events.filter((event) => event.kind === kind);
}
