import { Revocations as RevocationsContract } from '@countersign/sdk/contract';
import type { WatchRevocationsRequest } from '@countersign/sdk/contract/gen/countersign/control/v1/revocations_pb.ts';
import type { RevocationFeed, Verifier } from '../revocation/index.ts';
import { type CallContext, implement, type RpcService } from '../rpc/index.ts';
import { type Clock, createSharedTimers, type Timer } from '../std/index.ts';
import { revocationFeed } from '../wire/revocations/index.ts';
import type { Authorizer } from './authorize.ts';
import { gatewayOf } from './gateways/gateway-caller.ts';
import { pushUpdates } from './gateways/push-updates.ts';
import { invalid } from './status.ts';

/** Where agents and gateways are told what is revoked, and say what of it is in effect. */
export function revocationsService(deps: { clock: Clock; feed: RevocationFeed; authorizer: Authorizer }): RpcService {
  const { feed, authorizer } = deps;
  const timers = createSharedTimers(deps.clock, HEARTBEAT_STEP_MS);
  return implement(RevocationsContract, {
    async watchRevocations(request, context, send) {
      const { nonce, known, ...verifier } = parseWatch(request, verifierOf(authorizer, context, request));
      await feed.during({ verifier, nonce, known, draining: context.draining }, (stream) =>
        pushUpdates({
          ...{ timers, context, authorizer },
          subscribe: (changed) => [feed.onChange(changed), every(timers, changed)],
          push: async () => send(await stream.next()),
        }),
      );
    },
    async ackRevocations(request, context) {
      const { incarnation, sequence } = request;
      if (!RANDOM.test(incarnation)) throw invalid('an incarnation has 32 hex digits');
      await feed.acknowledge(verifierOf(authorizer, context, request), { incarnation, sequence: number(sequence) });
      return {};
    },
  });
}

/** Calls it again and again. Returns how to stop. */
function every(timers: Pick<Clock, 'after'>, act: () => void): () => void {
  let timer: Timer;
  const again = () => {
    timer = timers.after(HEARTBEAT_MS, () => {
      act();
      again();
    });
  };
  again();
  return () => timer.cancel();
}

/** By what its connection has proven, and of a gateway what it says of itself. @throws RpcError INVALID_ARGUMENT */
function verifierOf(
  authorizer: Authorizer,
  context: CallContext,
  said: { readonly advertise: string; readonly instance: string },
): Verifier {
  const caller = authorizer.callerOf(context);
  if (caller.role === 'agent') return { kind: 'agent', spiffeId: caller.node.spiffeId.uri, address: '', instance: '' };
  return { kind: 'gateway', ...gatewayOf(caller, said) };
}

/** @throws RpcError INVALID_ARGUMENT */
function parseWatch(request: WatchRevocationsRequest, verifier: Verifier) {
  const { nonce, incarnation, mark, freshForMs, thenRefuses } = request;
  const sequence = number(request.sequence);
  if (nonce.length < revocationFeed.nonceBytesMin || nonce.length > revocationFeed.nonceBytesMax)
    throw invalid(`a nonce has ${revocationFeed.nonceBytesMin} to ${revocationFeed.nonceBytesMax} bytes`);
  if (incarnation === '' ? sequence !== 0 || mark !== '' : !RANDOM.test(incarnation) || !MARK.test(mark))
    throw invalid('a state has an incarnation and a mark of 32 hex digits each, or is none at all');
  const known = { incarnation, sequence, mark };
  return { ...verifier, freshForMs: number(freshForMs), thenRefuses, nonce, known };
}

/** @throws RpcError INVALID_ARGUMENT */
function number(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid('a number is larger than 2^53 - 1');
  return Number(value);
}

const RANDOM = /^[0-9a-f]{32}$/;
const MARK = /^(?:[0-9a-f]{32})?$/;
/** A verifier that hears nothing for some of these knows that it is alone. */
const HEARTBEAT_MS = 3_000;
const HEARTBEAT_STEP_MS = 500;
