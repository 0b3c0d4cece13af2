import { noObligations } from '../../model/index.ts';
import { type Clock, createSilentLog, createSystemClock, type Log } from '../../std/index.ts';
import { createGate, type Gate } from '../gate.ts';
import { SessionEnd, type SessionPolicy } from '../session.ts';
import type { SessionLedger } from '../session-ledger.ts';

/** The gate of one session that writes to that ledger. `end`: of the session. */
export function createTestGate(
  ledger: SessionLedger,
  options: {
    readonly clock?: Clock;
    readonly log?: Log;
    readonly policy?: Pick<SessionPolicy, 'decide' | 'onChange'>;
    readonly end?: AbortController;
  } = {},
): Gate {
  const { clock = createSystemClock(), log = createSilentLog(), end = new AbortController() } = options;
  const policy = options.policy ?? { decide: () => ALLOWED, onChange: () => () => {} };
  return createGate({
    ...{ clock, log, policy, ledger, door: 'agent' },
    signal: end.signal,
    end: (refusal) => end.abort(new SessionEnd(refusal)),
  });
}

const ALLOWED = {
  allow: true,
  policies: [],
  obligations: noObligations,
} as const;
