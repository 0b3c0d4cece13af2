import {
  type Denial,
  isBarred,
  type Judged,
  type LedgerEvent,
  type Operation,
  type ReachedLimit,
} from '../../model/index.ts';
import type { Recorder } from './recorder.ts';
import type { SessionLedger } from './session-ledger.ts';

type Detail = LedgerEvent['detail'];

/** What words an entry: how what was asked is recorded, and what stands for what the client said. */
interface Wording {
  readonly recorder: Recorder;
  readonly ledger: Pick<SessionLedger, 'digest'>;
}

/** Names in their order, which is the order they are written in. */
export function intentDetail(operation: Operation, { recorder, ledger }: Wording): Detail {
  const { content, judged, shape } = operation;
  return {
    ...(content === undefined ? NOTHING : { contentDigest: ledger.digest(content) }),
    ...recorder.allowed(judged),
    ...ownDetail(operation),
    ...(shape === undefined ? NOTHING : { shape }),
  };
}

export function denialDetail(denial: Denial, { recorder, ledger }: Wording): Detail {
  const { code, content, held, judged, limit, policies, reason, shape } = denial;
  return {
    ...(held === undefined ? NOTHING : held.detail),
    ...(code === undefined ? NOTHING : { code }),
    ...(content === undefined ? NOTHING : { contentDigest: ledger.digest(content) }),
    ...limitDetail(limit),
    ...barredDetail(judged),
    ...recorder.denied(judged, policies),
    ...ownDetail(denial),
    reason,
    ...(shape === undefined ? NOTHING : { shape }),
  };
}

/** Which limit it was, by its unit and the most that policy allows. */
export function limitDetail(limit: ReachedLimit | undefined): Detail {
  return limit === undefined ? NOTHING : { limit: { most: limit.most, unit: limit.unit } };
}

/** Which revocation bars it, of all that was asked the first. */
export function barredDetail({ asked }: Pick<Judged, 'asked'>): Detail {
  for (const { decision } of asked)
    if (isBarred(decision) && decision.revocation !== undefined) return { revocation: decision.revocation };
  return NOTHING;
}

/** What only a protocol knows stands under its name, so that it can't be taken for what all have in common. */
export function ownDetail({ action, detail }: Pick<LedgerEvent, 'action' | 'detail'>): Detail {
  return Object.keys(detail).length === 0 ? NOTHING : { [action.slice(0, action.indexOf(':'))]: detail };
}

const NOTHING = Object.freeze({});
