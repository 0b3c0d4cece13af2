import { type Principal, principalName } from '../endpoint/index.ts';
import type { LedgerEvent } from '../model/index.ts';
import { type CallContext, Code } from '../rpc/index.ts';
import { type Clock, messageOf } from '../std/index.ts';
import { type Authorizer, actorOf } from './authorize.ts';

/** Writes one event to the ledger; throws when it can't, and then the act must not happen. */
export type WriteAudit = (event: LedgerEvent) => void | Promise<void>;

/** Records acts of operators. */
export interface Audit {
  /**
   * Records that `act` is about to happen, does it, records how it ended, then answers: nothing is done that the ledger does not
   * hold, and nobody is told of it before. `detail` and `outcome` must hold no secret.
   */
  act<T>(
    context: CallContext,
    what: { target: string; detail?: Detail; outcome?: (result: T) => Detail },
    act: () => Promise<T>,
  ): Promise<T>;
  /** The same of an act that came in by another door: `actor` does it, and `action` is its word. */
  actBy<T>(
    who: Who,
    what: { action: string; target: string; detail?: Detail; outcome?: (result: T) => Detail },
    act: () => Promise<T>,
  ): Promise<T>;
}

/** Who does it: the name, and what else the ledger is to say of who that is. */
export interface Who {
  readonly actor: string;
  /** Of the operator's socket: user and uid. */
  readonly operator?: string | undefined;
  readonly person?: Pick<Extract<Principal, { kind: 'person' }>, 'issuer' | 'subject' | 'email' | 'signIn'>;
}

/** Of whoever calls. */
export function whoOf(principal: Principal): Who {
  const actor = principalName(principal);
  if (principal.kind === 'operator') return { actor, operator: principal.text };
  return principal.kind === 'person' ? { actor, person: principal } : { actor };
}

type Detail = LedgerEvent['detail'];

/** What became of each item of a batch, in its order: gRPC's codes, 0 for what was done. */
export function codesOf({
  results,
}: {
  readonly results: readonly { readonly status?: { readonly code: number } }[];
}): Detail {
  return { codes: results.slice(0, AUDITED_ITEMS_MAX).map(({ status }) => status?.code ?? Code.UNKNOWN) };
}

/** A batch has at most 1,000 items; more identifiers would not fit a ledger entry. */
export const AUDITED_ITEMS_MAX = 1000;

/** Records acts of whomever, by whatever door they came in. */
export function createActAudit(deps: { clock: Clock; write: WriteAudit }): Audit['actBy'] {
  return async (who, what, act) => {
    const known = { ...(who.operator === undefined ? {} : { operator: who.operator }), ...personDetail(who) };
    const record = async (detail: Detail) =>
      deps.write({
        kind: 'admin',
        timeMs: deps.clock.now(),
        actor: who.actor,
        target: what.target,
        action: what.action,
        session: '',
        operation: '',
        detail: { ...known, ...detail },
      });
    await record({ step: 'request', ...what.detail });
    try {
      const result = await act();
      await record({ step: 'done', ...what.outcome?.(result) });
      return result;
    } catch (error) {
      await record({ step: 'failed', reason: messageOf(error) });
      throw error;
    }
  };
}

function personDetail({ person }: Who): Detail {
  if (person === undefined) return {};
  const { issuer, subject, email, signIn } = person;
  return {
    person: { issuer, subject, ...(email === undefined ? {} : { email }), ...(signIn === '' ? {} : { signIn }) },
  };
}

/** Creates an {@link Audit}. */
export function createAudit(deps: {
  clock: Clock;
  authorizer: Pick<Authorizer, 'callerOf'>;
  write: WriteAudit;
}): Audit {
  const actBy = createActAudit(deps);
  return {
    actBy,
    async act(context, what, act) {
      const caller = deps.authorizer.callerOf(context);
      const operator = caller.role === 'admin' ? caller.operator?.text : undefined;
      const action = context.method.slice(context.method.lastIndexOf('/') + 1);
      return actBy({ actor: actorOf(caller), operator }, { ...what, action }, act);
    },
  };
}
