import { Revocations as RevocationsContract } from '@countersign/sdk/contract';
import type { WatchRevocationsRequest } from '@countersign/sdk/contract/gen/countersign/control/v1/revocations_pb.ts';
import type { RevocationFeed, Verifier } from '../revocation/index.ts';
import { type CallContext, implement, type RpcService } from '../rpc/index.ts';
import { type Clock, createSharedTimers, sha256, type Timer } from '../std/index.ts';
import { revocationFeed } from '../wire/revocations/index.ts';
import { parseCertificate } from '../wire/x509/index.ts';
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
      bindToConnection(context, verifier);
      const { format } = request;
      const key = keyOf(context);
      await feed.during({ verifier, nonce, known, draining: context.draining, format, key }, (stream) =>
        pushUpdates({
          ...{ timers, context, authorizer },
          subscribe: (changed) => [feed.onChange(changed), every(timers, changed)],
          push: async () => send(await stream.next()),
        }),
      );
    },
    async ackRevocations(request, context) {
      const { incarnation, mark, nonce } = request;
      if (!RANDOM.test(incarnation)) throw invalid('an incarnation has 32 hex digits');
      if (!MARK.test(mark)) throw invalid('a mark has 32 hex digits, or is that of no change');
      if (nonce.length > revocationFeed.nonceBytesMax) throw invalid('a nonce is too long');
      const verifier = verifierOf(authorizer, context, request);
      await feed.acknowledge(verifier, { incarnation, mark, sequence: number(request.sequence) }, nonce);
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

/** One process has a connection of its own: over one connection nobody speaks for many. @throws RpcError INVALID_ARGUMENT */
function bindToConnection(context: CallContext, { kind, address, instance }: Verifier): void {
  const name = JSON.stringify([kind, address, instance]);
  const bound = context.state.get(SPEAKER) ?? name;
  if (bound !== name) throw invalid('this connection watches for another process already; each has one of its own');
  context.state.set(SPEAKER, name);
}

/** Of the public key that the connection has proven; empty over a local socket. */
function keyOf({ peer }: CallContext): string {
  const leaf = peer.kind === 'local' ? undefined : peer.chainDer[0];
  return leaf === undefined ? '' : sha256(parseCertificate(leaf).spkiDer).toString('hex');
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

const SPEAKER = Symbol('who watches revocations');
const RANDOM = /^[0-9a-f]{32}$/;
const MARK = /^(?:[0-9a-f]{32})?$/;
/** A verifier that hears nothing for some of these knows that it is alone. */
const HEARTBEAT_MS = 3_000;
const HEARTBEAT_STEP_MS = 500;
