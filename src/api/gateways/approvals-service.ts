import { Approvals as ApprovalsContract } from '@countersign/sdk/contract';
import { HoldUpdate_State as State } from '@countersign/sdk/contract/gen/countersign/control/v1/approvals_pb.ts';
import type { Approvals, HoldTold } from '../../approval/index.ts';
import { type CallContext, implement, type RpcService } from '../../rpc/index.ts';
import { type Clock, createSharedTimers, type Timer } from '../../std/index.ts';
import type { Authorizer } from '../authorize.ts';
import { invalid } from '../status.ts';
import { gatewayOf } from './gateway-caller.ts';
import { pushUpdates } from './push-updates.ts';

/** Where gateways ask for people's answers, and take them for their one use. */
export function approvalsService(deps: {
  clock: Clock;
  approvals: Pick<Approvals, 'hold' | 'look' | 'withdraw' | 'spend' | 'onHold'>;
  authorizer: Pick<Authorizer, 'callerOf' | 'recheck'>;
}): RpcService {
  const { approvals, authorizer } = deps;
  const timers = createSharedTimers(deps.clock, TIMER_STEP_MS);
  return implement(ApprovalsContract, {
    async holdOperation(request, context, send) {
      const { hold, subject, shown } = request;
      const first = await approvals.hold(processOf(authorizer, context, request), { hold, subject, shown });
      await send(messageOf({ ...first, state: 'waiting', reason: '' }));
      await untilOver(first, { ...deps, timers, context, told: async (over) => send(messageOf(over)) });
    },
    async spendApproval(request, context) {
      const digest = Buffer.from(request.digest).toString('hex');
      const asked = { hold: request.hold, digest, attempt: request.try };
      return { statement: await approvals.spend(processOf(authorizer, context, request), asked) };
    },
    async withdrawHold(request, context) {
      await approvals.withdraw(processOf(authorizer, context, request), request.hold, request.why);
      return {};
    },
  });
}

/** Waits until it is over, and tells once what became of it. Ends, as every stream, with the call, with the connection, and when its caller may no more. */
async function untilOver(
  { id, leftMs }: HoldTold,
  deps: {
    readonly approvals: Pick<Approvals, 'look' | 'onHold'>;
    readonly authorizer: Pick<Authorizer, 'recheck'>;
    readonly timers: Pick<Clock, 'after'>;
    readonly context: CallContext;
    readonly told: (over: HoldTold) => Promise<void>;
  },
): Promise<void> {
  const { approvals, context, timers } = deps;
  let due: Timer | undefined;
  try {
    await pushUpdates({
      ...{ timers, context, authorizer: deps.authorizer },
      subscribe(changed) {
        due = timers.after(leftMs + 1, changed);
        return [approvals.onHold(id, changed), () => due?.cancel()];
      },
      async push() {
        const now = await approvals.look(id);
        if (now?.state === 'waiting') return;
        await deps.told(now ?? { id, state: 'withdrawn', untilMs: 0, leftMs: 0, reason: 'forgotten' });
        throw OVER;
      },
    });
  } catch (error) {
    if (error !== OVER) throw error;
  }
}

/** Which process of which gateway; one that does not tell itself from others can't be told from one that was started anew. @throws RpcError INVALID_ARGUMENT */
function processOf(
  authorizer: Pick<Authorizer, 'callerOf'>,
  context: CallContext,
  said: { readonly advertise: string; readonly instance: string },
) {
  const gateway = gatewayOf(authorizer.callerOf(context), said);
  if (gateway.instance === '') throw invalid('a gateway that asks for answers tells its instance');
  return gateway;
}

function messageOf({ id, state, untilMs, reason }: HoldTold) {
  return { state: STATES[state], approval: id, untilMs: BigInt(untilMs), reason };
}

const STATES = {
  waiting: State.WAITING,
  approved: State.APPROVED,
  // To whoever has spent it: the same try is told so again.
  spent: State.APPROVED,
  denied: State.DENIED,
  expired: State.EXPIRED,
  withdrawn: State.WITHDRAWN,
} as const satisfies Record<HoldTold['state'], State>;
const OVER: unique symbol = Symbol('over');
const TIMER_STEP_MS = 250;
