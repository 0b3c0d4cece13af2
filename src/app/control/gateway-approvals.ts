import { hash } from 'node:crypto';
import { Approvals as Service } from '@countersign/sdk/contract';
import { HoldUpdate_State as State } from '@countersign/sdk/contract/gen/countersign/control/v1/approvals_pb.ts';
import { type Approvals, type HeldQuestion, type HoldAnswer, HoldEnd } from '../../gateway/index.ts';
import type { JwtAuthority } from '../../model/index.ts';
import { Code, type RpcClient, RpcError } from '../../rpc/index.ts';
import { type Clock, type Log, messageOf, type Random, sleep, timeoutSignal } from '../../std/index.ts';
import { verifyStatement } from '../../wire/jose/index.ts';

export interface GatewayApprovalsDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly trustDomain: string;
  client(): Pick<RpcClient, 'serverStream' | 'unary' | 'reconnect'>;
  /** Which process of which gateway asks, as in all that it says to servers. */
  own(): { readonly advertise: string; readonly instance: string };
  /** The gateway's own SPIFFE ID; undefined: not known yet. */
  gateway(): string | undefined;
  /** Of the trust domain, as they are now. */
  authorities(): readonly JwtAuthority[] | undefined;
}

/**
 * Has people asked by whichever server answers. A stream that breaks is opened anew with the same hold, at any server, for as long as somebody waits; one
 * approval is taken by one `try`, so that an answer that was lost on its way is asked for again and not used twice. What the servers say counts for nothing but
 * by their signature: over this very question, for this gateway, and not for long.
 */
export function createGatewayApprovals(deps: GatewayApprovalsDeps): Approvals {
  return {
    async hold(question, signal) {
      try {
        return await askUntilAnswered(deps, question, signal);
      } catch (error) {
        if (!signal.aborted) throw error;
        throw signal.reason;
      } finally {
        if (signal.aborted) void withdraw(deps, question, signal);
      }
    },
  };
}

async function askUntilAnswered(
  deps: GatewayApprovalsDeps,
  question: HeldQuestion,
  signal: AbortSignal,
): Promise<HoldAnswer> {
  const { clock, random, log } = deps;
  const { hold, subject, shown, untilMs } = question;
  const startedMs = clock.monotonicMs();
  let approval: string | undefined;
  for (let pauseMs = PAUSE_MS_MIN; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
    let problem: unknown = 'the server has ended the stream';
    try {
      const request = { ...deps.own(), hold, subject, shown };
      for await (const update of deps.client().serverStream(Service.method.holdOperation, request, { signal })) {
        pauseMs = PAUSE_MS_MIN;
        approval = update.approval;
        if (update.state === State.WAITING) question.waiting(approval);
        else return await answerOf(deps, question, { approval, state: update.state, reason: update.reason, signal });
      }
    } catch (error) {
      signal.throwIfAborted();
      const refused = refusalOf(error);
      if (refused !== undefined) return refused;
      problem = error;
    }
    log.warn('gateway.approvals.interrupted', { hold, problem: messageOf(problem) });
    if (clock.now() >= untilMs) return { state: 'expired', approval: approval ?? '', reason: '' };
    // Nobody has heard of it yet, so nobody will answer.
    if (approval === undefined && clock.monotonicMs() - startedMs >= PATIENCE_MS) return unavailable(problem);
    deps.client().reconnect();
    await sleep(clock, pauseMs * (0.5 + random.fraction()), signal);
  }
}

async function answerOf(
  deps: GatewayApprovalsDeps,
  question: HeldQuestion,
  told: { readonly approval: string; readonly state: number; readonly reason: string; readonly signal: AbortSignal },
): Promise<HoldAnswer> {
  const { approval, state, reason } = told;
  switch (state) {
    case State.APPROVED:
      return spend(deps, question, told);
    case State.DENIED:
      return { state: 'denied', approval, reason };
    case State.EXPIRED:
      return { state: 'expired', approval, reason };
    case State.WITHDRAWN:
      return { state: 'withdrawn', approval, reason };
    default:
      return { state: 'refused', why: 'unproven', what: 'the server has answered what this version does not know' };
  }
}

/** Takes the approval for its one use. */
async function spend(
  deps: GatewayApprovalsDeps,
  question: HeldQuestion,
  { approval, signal }: { readonly approval: string; readonly signal: AbortSignal },
): Promise<HoldAnswer> {
  const { clock, random, log } = deps;
  const request = {
    ...{ ...deps.own(), hold: question.hold, digest: Buffer.from(question.digest, 'hex') },
    try: random.bytes(TRY_BYTES).toString('hex'),
  };
  const startedMs = clock.monotonicMs();
  for (let pauseMs = PAUSE_MS_MIN; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
    let problem: unknown;
    try {
      const options = { signal, timeoutMs: CALL_MS_MAX };
      const { statement } = await deps.client().unary(Service.method.spendApproval, request, options);
      const proof = proofIn(deps, question, { statement, approval });
      if ('by' in proof) return { state: 'approved', approval: { id: approval, ...proof } };
      log.error('gateway.approvals.unproven', { hold: question.hold, problem: proof.problem });
      // A key that is new may be known in a moment; the same try brings the same statement.
      if (!proof.mayChange) return { state: 'refused', why: 'unproven', what: UNPROVEN };
      problem = proof.problem;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof RpcError && NO_LONGER.has(error.code))
        return { state: 'withdrawn', approval, reason: 'the approval was used, or is none any more' };
      problem = error;
    }
    if (clock.monotonicMs() - startedMs >= PATIENCE_MS) return unavailable(problem);
    deps.client().reconnect();
    await sleep(clock, pauseMs * (0.5 + random.fraction()), signal);
  }
}

type Proof =
  | { readonly by: readonly string[]; readonly statement: string }
  | { readonly problem: string; readonly mayChange: boolean };

/** What a statement proves of this question. */
function proofIn(
  { clock, trustDomain, gateway, authorities }: GatewayApprovalsDeps,
  { hold, digest }: Pick<HeldQuestion, 'hold' | 'digest'>,
  { statement, approval }: { readonly statement: string; readonly approval: string },
): Proof {
  const nowMs = clock.now();
  const result = verifyStatement({ token: statement, type: STATEMENT_TYPE, authorities: authorities() ?? [], nowMs });
  if (!result.ok) return { problem: result.reason, mayChange: result.reason === 'unknown-key' };
  const { claims } = result;
  const expected = { iss: `spiffe://${trustDomain}`, digest, hold, approval, gateway: gateway() };
  for (const [name, value] of Object.entries(expected))
    if (value === undefined || claims[name] !== value) return { problem: `another ${name}`, mayChange: false };
  const { exp, by } = claims;
  if (typeof exp !== 'number' || nowMs >= (exp + LEEWAY_S) * 1000) return { problem: 'expired', mayChange: false };
  const persons = Array.isArray(by) ? by.flatMap((one) => (typeof one === 'string' && one !== '' ? [one] : [])) : [];
  if (persons.length === 0) return { problem: 'nobody has approved', mayChange: false };
  return { by: persons, statement: hash('sha256', statement, 'hex') };
}

/** What no other server would answer otherwise. */
function refusalOf(error: unknown): HoldAnswer | undefined {
  if (!(error instanceof RpcError)) return undefined;
  switch (error.code) {
    case Code.FAILED_PRECONDITION:
      return { state: 'refused', why: 'no-rule', what: 'this needs an approval by a rule that nobody has declared' };
    case Code.RESOURCE_EXHAUSTED:
      return {
        state: 'refused',
        why: 'too-many',
        what: 'this needs an approval, and too many operations wait already',
      };
    case Code.UNIMPLEMENTED:
      return { state: 'refused', why: 'unavailable', what: 'this needs an approval, and the server knows of none' };
    case Code.ALREADY_EXISTS:
    case Code.INVALID_ARGUMENT:
    case Code.PERMISSION_DENIED:
      return {
        state: 'refused',
        why: 'unavailable',
        what: 'this needs an approval, and the server does not take the question',
      };
    default:
      return undefined;
  }
}

function unavailable(problem: unknown): HoldAnswer {
  const silent = problem === undefined ? '' : '; an operator finds why in the log of the gateway';
  return {
    state: 'refused',
    why: 'unavailable',
    what: `this needs an approval, and no server can be asked at the moment${silent}`,
  };
}

/** Nobody waits any more. What does not come through there is seen by the server when its time is over. */
async function withdraw(
  { clock, log, client, own }: GatewayApprovalsDeps,
  { hold }: HeldQuestion,
  { reason }: AbortSignal,
) {
  const why = reason instanceof HoldEnd ? reason.why : 'ended';
  const time = timeoutSignal(clock, CALL_MS_MAX);
  try {
    await client().unary(
      Service.method.withdrawHold,
      { ...own(), hold, why },
      { signal: time.signal, timeoutMs: CALL_MS_MAX },
    );
  } catch (error) {
    log.warn('gateway.approvals.not_withdrawn', { hold, problem: messageOf(error) });
  } finally {
    time.cancel();
  }
}

const STATEMENT_TYPE = 'countersign-approval+jwt';
const UNPROVEN = 'this was answered, but nothing proves who did';
/** Used by another try, not approved, not there any more. */
const NO_LONGER: ReadonlySet<number> = new Set([Code.ABORTED, Code.NOT_FOUND, Code.FAILED_PRECONDITION]);
const TRY_BYTES = 16;
/** Clocks of server and gateway may differ by so much. */
const LEEWAY_S = 5;
const CALL_MS_MAX = 5_000;
const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 5_000;
/** So long a client waits for a server to be found, or for an approval to be taken. */
const PATIENCE_MS = 15_000;
