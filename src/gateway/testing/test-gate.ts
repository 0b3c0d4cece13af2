import { noObligations } from '../../model/index.ts';
import type { PolicySchema } from '../../policy/index.ts';
import { type Clock, createSilentLog, createSystemClock, createSystemRandom, type Log } from '../../std/index.ts';
import type { Approvals } from '../approvals/approvals.ts';
import type { HoldingSession } from '../approvals/subject.ts';
import { createRecorder } from '../recording/recorder.ts';
import type { SessionLedger } from '../recording/session-ledger.ts';
import { createActivity } from '../sessions/activity.ts';
import { createGate, type Gate } from '../sessions/gate.ts';
import { createQuotas, type Quotas } from '../sessions/quotas.ts';
import { SessionEnd, type SessionPolicy } from '../sessions/session.ts';

/** The gate of one session that writes to that ledger. `end`: of the session. */
export function createTestGate(
  ledger: SessionLedger,
  options: {
    readonly clock?: Clock;
    readonly log?: Log;
    readonly policy?: Pick<SessionPolicy, 'decide' | 'onChange' | 'policySet'>;
    readonly schema?: PolicySchema | undefined;
    readonly end?: AbortController;
    readonly quotas?: Quotas;
    /** Who is asked to approve; nobody, where it is not given. */
    readonly approvals?: Approvals | undefined;
    readonly drain?: AbortSignal;
    readonly protocol?: string;
    readonly expiresMs?: () => number;
  } = {},
): Gate {
  const { clock = createSystemClock(), log = createSilentLog(), end = new AbortController() } = options;
  const policy = options.policy ?? { policySet: undefined, decide: () => ALLOWED, onChange: () => () => {} };
  return createGate({
    ...{
      clock,
      log,
      policy,
      ledger,
      recorder: createRecorder(options.schema),
      quotas: options.quotas ?? createQuotas(clock),
    },
    holder: { identity: 'spiffe://example.org/test', target: 'db' },
    activity: createActivity(),
    holding: options.approvals && {
      ...{ approvals: options.approvals, random: createSystemRandom(), session: HOLDING, policy },
      ...{ protocol: options.protocol ?? 'test', expiresMs: options.expiresMs ?? (() => Number.MAX_SAFE_INTEGER) },
      ...{ signal: end.signal, drain: options.drain ?? new AbortController().signal },
    },
    origin: { door: 'agent', peer: '192.0.2.1', certificate: { serial: '7', expiresMs: 1_800_000_000_000 } },
    signal: end.signal,
    end: (refusal) => end.abort(new SessionEnd(refusal)),
  });
}

/** What questions of its sessions say of them. */
const HOLDING: HoldingSession = {
  ...{ trustDomain: 'example.org', gateway: 'spiffe://example.org/countersign/gateway', session: 's1' },
  ...{ identity: 'spiffe://example.org/test', entry: 'e1', node: 'spiffe://example.org/countersign/agent/n1' },
  ...{ instance: { pid: 7, start: '1' }, target: 'db' },
};
const ALLOWED = {
  allow: true,
  policies: [],
  obligations: noObligations,
} as const;
