import { type Barred, barredText, type Decision, isBarred, type ReachedLimit } from '../../../../../model/index.ts';
import { approvalText } from '../../../../../policy/index.ts';
import { codeOf } from '../../../../../std/index.ts';
import { encodeProblem } from '../../../../../wire/http1/index.ts';
import type { SessionRefusal } from '../../../../protocol.ts';
import type { ReachedQuota } from '../../../../sessions/quotas.ts';
import { encodeGrpcRefusal } from './grpc-refusal.ts';

/** What the gateway itself answers: a problem document that says what to do next. @see RFC 9457 */
export interface OwnAnswer {
  readonly status: number;
  /** One word of why, which programs can tell apart. */
  readonly reason: string;
  readonly message: string;
  readonly hint: string;
  readonly policies?: readonly string[];
  readonly retryAfterS?: number;
}

/** Its bytes. `close`: the connection ends behind it; `isGrpc`: a call of gRPC was asked. */
export function encodeOwnAnswer(answer: OwnAnswer, { isHead = false, close = false, isGrpc = false } = {}): Buffer {
  if (isGrpc && !isHead) return encodeGrpcRefusal(answer, { close });
  const { status, reason, message: title, hint, policies = [], retryAfterS } = answer;
  const told = policies.length === 0 ? undefined : policies.slice(0, POLICIES_TOLD_MAX);
  return encodeProblem({ status, title, reason, hint, policies: told }, { close, answersHead: isHead, retryAfterS });
}

/** Policy says no to one request. */
export function deniedAnswer(
  who: string,
  { action, what }: { readonly action: string; readonly what: string },
  decision: Extract<Decision, { allow: false }>,
): OwnAnswer {
  if (isBarred(decision)) {
    const { what: why, hint } = barredText(decision);
    return {
      status: STATUSES[decision.reason],
      reason: decision.reason,
      message: `${who} may not ${what}: ${why}`,
      hint,
    };
  }
  return {
    status: 403,
    reason: decision.reason,
    message: `policy does not allow ${who} to ${what}`,
    hint:
      'rules' in decision
        ? `It ${approvalText(decision.rules)}.`
        : `It needs a permit for the action ${action}, and no forbid that applies.`,
    policies: decision.policies,
  };
}

/** More than policy allows over time. */
export function quotaAnswer({ unit, most, policy, retryMs }: ReachedQuota): OwnAnswer {
  const isRate = unit === 'rate';
  return {
    status: 429,
    reason: 'over-limit',
    message: isRate
      ? `these are more requests than policy allows a minute (${most})`
      : `these are more connections at once than policy allows (${most})`,
    hint: isRate ? 'Send them in parts, a minute between.' : 'Close connections that are not used.',
    policies: [policy],
    ...(isRate ? { retryAfterS: Math.max(1, Math.ceil((retryMs ?? 60_000) / 1000)) } : {}),
  };
}

/** One request or its answer has more than policy allows. */
export function limitAnswer({ unit, most }: ReachedLimit): OwnAnswer {
  const { status, message, hint } = LIMITS[unit];
  return { status, reason: 'over-limit', message: `${message} (${most}${unit === 'duration' ? ' ms' : ''})`, hint };
}

/** The ledger took nothing, so nothing was done. */
export function ledgerAnswer(error: unknown): OwnAnswer {
  if (codeOf(error) === 'ERR_LEDGER_UNSHIPPED')
    return {
      status: 503,
      reason: 'ledger',
      message: 'what the gateway has recorded does not reach the servers, so nothing is forwarded',
      hint: 'The operator of the gateway has to look after its way to the servers.',
    };
  const isFull = codeOf(error) === 'ERR_LEDGER_FULL';
  return {
    status: 503,
    reason: 'ledger',
    message: isFull
      ? 'the gateway’s ledger is full, so nothing is forwarded'
      : 'the gateway’s ledger can not be written, so nothing is forwarded',
    hint: 'The operator of the gateway has to look after the ledger’s disk.',
  };
}

/** The session is not opened, or ends. */
export function sessionAnswer({ code, what }: SessionRefusal): OwnAnswer {
  return {
    status: STATUSES[code],
    reason: code,
    message: what,
    hint: HINTS[code] ?? 'Connect again.',
  };
}

/** The upstream could not be asked. What it said is for the operator's log. */
export function targetAnswer(target: string, error: unknown): OwnAnswer {
  const [status, message, hint] = TARGETS.get(codeOf(error) ?? '') ?? OTHER;
  return { status, reason: 'target', message: message.replace('TARGET', () => target), hint };
}

/** The upstream is to be told who calls, and there is nothing to prove it by. */
export function unnamedAnswer(target: string): OwnAnswer {
  return {
    status: 503,
    reason: 'target',
    message: `target ${target} wants to be told who calls, and the gateway has no SVID to prove it by`,
    hint: 'Try again; if it stays so, the operator has to check the gateway’s agent.',
  };
}

/** The upstream was asked, and its answer did not come, or not whole. */
export const lostAnswer: OwnAnswer = {
  status: 502,
  reason: 'target',
  message: 'the gateway lost the connection to the target',
  hint: 'Whether the request was carried out is not known.',
};

/** The upstream has the request and says nothing, or nothing more before any of it could be shown. */
export function lateAnswer(what: 'answer' | 'pause'): OwnAnswer {
  const limit = what === 'answer' ? 'limits.answerSeconds' : 'limits.pauseSeconds';
  return {
    status: 504,
    reason: 'target',
    message: `the target did not answer in time (${limit} of the target)`,
    hint: 'Whether the request was carried out is not known. The operator of the gateway can let it take longer.',
  };
}

/** Policy masks what can't be looked into. */
export function maskedAnswer(message: string): OwnAnswer {
  return { status: 403, reason: 'masked', message, hint: 'It needs a permit without masks.' };
}

/** The client begins a request and does not go on. */
export const lateRequestAnswer: OwnAnswer = {
  status: 408,
  reason: 'timeout',
  message: 'the request did not come in time',
  hint: 'Send it again, without a pause.',
};

/** The target takes no more of a request. */
export const untakenAnswer: OwnAnswer = {
  status: 504,
  reason: 'target',
  message: 'the target does not take the request',
  hint: 'Whether it was carried out is not known.',
};

/** A WebSocket is asked for where the target speaks HTTP/2. */
export const noUpgradeAnswer: OwnAnswer = {
  ...{ status: 501, reason: 'http-method', message: 'this target speaks HTTP/2, which has no Upgrade' },
  hint: 'Ask without Upgrade; or the target is to be without upstreamHttp2.',
};

/** Nothing is read in what leaves HTTP. */
export const uncountedAnswer: OwnAnswer = {
  status: 403,
  reason: 'uncounted',
  message: 'policy limits the items of what this answers, and nothing is counted in a connection that leaves HTTP',
  hint: 'Ask without Upgrade; or it needs a permit without a limit of items.',
};

/** It failed, and why is said in a text that masks can't be laid on: clients still have to tell what is not there from what is broken. */
export function unshownAnswer(status: number): OwnAnswer {
  return {
    status,
    reason: 'target',
    message: `the target answers ${status}, in a text that may hold what policy masks`,
    hint: 'The upstream’s operator can have errors of this route answered as JSON; or a policy permits it without masks.',
  };
}

/** It never reached the upstream. */
export const unsentAnswer: OwnAnswer = {
  status: 503,
  reason: 'target',
  message: 'the gateway lost the connection to the target before the request was sent',
  hint: 'Nothing was done: send it again.',
};

/** Its answer is none that can be handed on. */
export function brokenAnswer(why: string, hint = 'The operator finds more in the gateway’s log.'): OwnAnswer {
  return { status: 502, reason: 'target-answer', message: why, hint };
}

const OTHER = [
  500,
  'the gateway failed to open a connection to target TARGET',
  'The operator finds the cause in the gateway’s log.',
] as const;
const TARGETS: ReadonlyMap<string, readonly [number, string, string]> = new Map([
  [
    'ERR_GATEWAY_SECRET',
    [
      502,
      'the gateway has no credential for target TARGET',
      'The operator has to check the secret references of this target.',
    ],
  ],
  [
    'ERR_GATEWAY_TARGET_TLS',
    [
      502,
      'the gateway could not verify target TARGET',
      'The operator has to check the target’s certificate, roots and serverName.',
    ],
  ],
  [
    'ERR_GATEWAY_TARGET_AWAY',
    [
      503,
      'target TARGET can not be reached at the moment',
      'Try again; if it stays so, the operator has to check that the target runs.',
    ],
  ],
]);
const hintFor = (reason: Barred['reason']) =>
  barredText({ allow: false, policies: [], reason, revocation: undefined }).hint;
const HINTS: Partial<Record<SessionRefusal['code'], string>> = {
  memory: 'Send less at once, or give the gateway more memory.',
  revoked: hintFor('revoked'),
  quarantined: hintFor('quarantined'),
  'revocations-stale': hintFor('revocations-stale'),
  host: 'Connect by a name that the target lists as one of its hosts, not by an address.',
};
const STATUSES: Readonly<Record<SessionRefusal['code'], number>> = {
  identity: 401,
  host: 421,
  policy: 403,
  limit: 503,
  closed: 503,
  shutdown: 503,
  operator: 403,
  timeout: 408,
  target: 503,
  ledger: 503,
  memory: 503,
  revoked: 403,
  quarantined: 403,
  'revocations-stale': 503,
};
const LIMITS: Readonly<Record<ReachedLimit['unit'], { status: number; message: string; hint: string }>> = {
  items: {
    status: 403,
    message: 'the answer has more items than policy allows',
    hint: 'Ask for fewer, by a page or a filter.',
  },
  bytesOut: { status: 403, message: 'the answer has more bytes than policy allows', hint: 'Ask for less at once.' },
  bytesIn: { status: 413, message: 'the request has more bytes than policy allows', hint: 'Send it in parts.' },
  duration: {
    status: 504,
    message: 'the request took longer than policy allows, and was stopped',
    hint: 'Whether it was carried out is not known. Ask for less at once.',
  },
  rate: { status: 429, message: 'these are more requests than policy allows a minute', hint: 'Send fewer.' },
  sessions: { status: 429, message: 'these are more connections than policy allows', hint: 'Close some.' },
};
const POLICIES_TOLD_MAX = 10;
