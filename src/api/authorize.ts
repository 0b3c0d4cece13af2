import type { SpiffeId, TrustDomain } from '@countersign/sdk/identity';
import type { Nodes, Operator } from '../attestation/index.ts';
import type { Authority } from '../authority/index.ts';
import { type Principal, principalName } from '../endpoint/index.ts';
import type { AttestedNode, RevocationFacts } from '../model/index.ts';
import type { Registration } from '../registration/index.ts';
import type { Revocations } from '../revocation/index.ts';
import { type CallContext, Code, type Peer, RpcError } from '../rpc/index.ts';
import { assert, type Clock, type Log, sha256, unreachable } from '../std/index.ts';
import { type SvidReason, verifyX509Svid } from '../wire/x509/index.ts';
import type { Access } from './access/access.ts';
import { rpcActions, rpcGroups } from './access/rpc-actions.ts';
import { createIdentityPrincipal } from './identity-principal.ts';
import { type AgentRefusal, agentRefused, statusOf } from './status.ts';

/** Who is calling, and as what: what {@link createAuthorizer} has made sure of. */
export type Caller =
  | { readonly role: 'anyone' }
  | { readonly role: 'agent'; readonly node: AttestedNode }
  /**
   * Whoever policy lets do what operators do, all of it or some. `id` is undefined for the operator's local socket, and `operator` is who came in by
   * that.
   */
  | { readonly role: 'admin'; readonly id: SpiffeId | undefined; readonly operator?: Operator | undefined }
  | { readonly role: 'gateway'; readonly id: SpiffeId };

/** Tells who is at the other end of the operator's socket; undefined when that can't be told. */
export type ReadOperator = (socket: Extract<Peer, { kind: 'local' }>['socket']) => Operator | undefined;

/** Makes sure of who calls, and has policy decide what they may, at every call. */
export interface Authorizer {
  /** To be put around every call of a server. */
  readonly interceptor: (context: CallContext, next: () => Promise<void>) => Promise<void>;
  /** The caller of a call that the interceptor has let through. */
  callerOf(context: CallContext): Caller;
  /** The node of the calling agent; only for methods that no one but agents may call. */
  agentOf(context: CallContext): AttestedNode;
  /** True for the operator's local socket, and for whoever shows an SVID of the trust domain that is good at this moment, whatever it may do. */
  recognises(peer: Peer): boolean;
  /** Decides once more, for a stream that is still open. @throws RpcError */
  recheck(context: CallContext): Promise<void>;
}

/** Creates an {@link Authorizer}. `trustDomain` is the server's: nobody of another one may call. */
export function createAuthorizer(deps: {
  clock: Clock;
  log: Log;
  trustDomain: TrustDomain;
  access: Access;
  authority: Pick<Authority, 'bundle'>;
  registration: Pick<Registration, 'entriesOf'>;
  nodes: Pick<Nodes, 'find' | 'checkSerial'>;
  readOperator?: ReadOperator;
  revocations: Pick<Revocations, 'refuseUse'>;
}): Authorizer {
  const { access, registration, revocations } = deps;
  const callers = new WeakMap<CallContext, Caller>();
  const identityOf = createIdentityPrincipal(deps);

  const authorize = async (context: CallContext, note: (caller: Verified) => void): Promise<Caller> => {
    const actions = rpcActions.get(context.method);
    if (actions === undefined) {
      deps.log.error('api.method.unlisted', { method: context.method });
      throw new RpcError(Code.INTERNAL, 'internal error');
    }
    const [action] = actions;
    const may = (principal: Principal | undefined) => {
      for (const one of actions) {
        const decision = access.decide(principal, one);
        if (decision.allow) continue;
        if (principal !== undefined) {
          const { reason } = decision;
          deps.log.info('api.rpc.refused', { caller: principalName(principal), action: one, reason });
        }
        throw denied();
      }
    };
    if (isOneOf(action, rpcGroups['countersign:public'])) {
      may(undefined);
      return { role: 'anyone' };
    }
    if (context.peer.kind === 'local') {
      const operator = operatorOf(deps, context);
      may({ kind: 'operator', uid: operator?.uid, text: operator?.text });
      return { role: 'admin', id: undefined, operator };
    }
    const verdict = verifyPeer(deps, context);
    if (!verdict.ok) {
      if (verdict.reason === 'expired' && isOneOf(action, rpcGroups['countersign:attend-node']))
        throw agentRefused('expired');
      deps.log.info('api.caller.refused', { method: context.method, reason: verdict.reason });
      throw denied();
    }
    const { id } = verdict;
    if (!HEARS_OF_IT.has(context.method)) revocations.refuseUse(factsOf(verdict, registration));
    if (isAgent(id)) {
      may({ kind: 'node', id });
      // What operators do an agent may have been given too; then it is held to what they are.
      if (!isOneOf(action, rpcGroups['countersign:attend-node']))
        revocations.refuseUse(factsOf(verdict, registration), 'operating');
      const node = await checkAgent(deps.nodes, context, verdict);
      if (node === 'superseded') note(verdict);
      if (typeof node === 'string') throw agentRefused(node === 'superseded' ? 'not-active' : node);
      return { role: 'agent', node };
    }
    may(identityOf(id));
    const role = isGatewayAction(action) ? 'gateway' : 'admin';
    if (role === 'admin') revocations.refuseUse(factsOf(verdict, registration), 'operating');
    return { role, id };
  };

  const callerOf = (context: CallContext): Caller => {
    const caller = callers.get(context);
    assert(caller !== undefined, 'the authorizer runs before every handler');
    return caller;
  };
  return {
    async interceptor(context, next) {
      try {
        const caller = await authorize(context, noteCopy(deps.log, context));
        if (caller.role !== 'anyone') context.vouch();
        callers.set(context, caller);
        await next();
      } catch (error) {
        throw statusOf(error, deps.log, context.method);
      }
    },
    callerOf,
    agentOf(context) {
      const caller = callerOf(context);
      assert(caller.role === 'agent', `${context.method} is for agents only`);
      return caller.node;
    },
    recognises: (peer) => peer.kind === 'local' || verifyChain(deps, peer.chainDer).ok,
    async recheck(context) {
      // A stream may well be older than the agent's newest SVID.
      callers.set(context, await authorize(context, () => {}));
    },
  };
}

/** An agent takes its new SVID into use for good: a call begun with an older one is by a copy of its state, or one that was brought back. */
function noteCopy(log: Log, { method, peer }: CallContext) {
  return ({ id, serial }: Verified) =>
    log.warn('api.agent.superseded', {
      ...{ agent: id.uri, serial, method },
      ...(peer.kind === 'tls' ? { remote: peer.remoteAddress } : {}),
    });
}

function verifyChain(deps: ChainDeps, chainDer: readonly Buffer[]) {
  const { x509Authorities } = deps.authority.bundle();
  const own = (trustDomain: TrustDomain) => (trustDomain === deps.trustDomain ? x509Authorities : undefined);
  return verifyX509Svid(chainDer, own, deps.clock.now());
}

interface ChainDeps {
  readonly clock: Clock;
  readonly trustDomain: TrustDomain;
  readonly authority: Pick<Authority, 'bundle'>;
}

/** A chain is verified once per connection and bundle; whether it is valid at this moment is looked at on every call. */
export function verifyPeer(
  deps: ChainDeps,
  context: Pick<CallContext, 'peer' | 'state'>,
): Verified | { ok: false; reason: SvidReason } {
  assert(context.peer.kind === 'tls', 'only a TLS peer has a chain');
  const bundle = deps.authority.bundle();
  const nowMs = deps.clock.now();
  const known = context.state.get(VERIFIED) as Verified | undefined; // Only set below.
  if (known?.bundleSequence === bundle.sequence) {
    if (nowMs < known.notBeforeS * 1000) return { ok: false, reason: 'not-yet-valid' };
    return nowMs < known.expiresAtS * 1000 ? known : { ok: false, reason: 'expired' };
  }
  const result = verifyChain(deps, context.peer.chainDer);
  if (!result.ok) return result;
  const { serial, notBeforeS, spkiDer } = result.leaf;
  const { id, expiresAtS } = result;
  const thumbprint = sha256(spkiDer).toString('hex');
  const times = { notBeforeS, expiresAtS, bundleSequence: bundle.sequence };
  const verified: Verified = { ok: true, id, serial, thumbprint, ...times };
  context.state.set(VERIFIED, verified);
  return verified;
}

/** The node of an agent whose serial number counts, or why it doesn't. It is read once per connection: a node that attests anew has another serial. */
async function checkAgent(
  nodes: Pick<Nodes, 'find' | 'checkSerial'>,
  context: CallContext,
  { id, serial }: Verified,
): Promise<AttestedNode | 'superseded' | AgentRefusal> {
  const state = await nodes.checkSerial(id, serial);
  switch (state) {
    case 'current':
    case 'promoted': {
      const known = context.state.get(NODE) as AttestedNode | undefined; // Only set below.
      const node = known?.serial === serial ? known : await nodes.find(id);
      // Between the two questions it may have been removed, banned or renewed by another connection.
      if (node === undefined) return 'not-attested';
      if (node.serial !== serial) return node.serial === '' ? 'banned' : 'not-active';
      context.state.set(NODE, node);
      return node;
    }
    case 'unknown':
      return 'not-attested';
    case 'superseded':
    case 'banned':
    case 'expired':
      return state;
    default:
      return unreachable(state);
  }
}

/** Asks once per connection: who it is does not change. */
function operatorOf(
  { readOperator }: { readonly readOperator?: ReadOperator },
  context: CallContext,
): Operator | undefined {
  if (readOperator === undefined || context.peer.kind !== 'local') return undefined;
  if (!context.state.has(OPERATOR)) context.state.set(OPERATOR, readOperator(context.peer.socket));
  return context.state.get(OPERATOR) as Operator | undefined; // Only set here.
}

/** A user of a machine in the ledger, in the form of the selector. */
export function userOf(uid: number): string {
  return `unix:uid:${uid}`;
}

/** The name of a caller in the ledger. */
export function actorOf(caller: Caller): string {
  switch (caller.role) {
    case 'agent':
      return caller.node.spiffeId.uri;
    case 'admin':
      return caller.id?.uri ?? (caller.operator === undefined ? 'admin' : userOf(caller.operator.uid));
    case 'gateway':
      return caller.id.uri;
    case 'anyone':
      return 'anyone';
    default:
      return unreachable(caller);
  }
}

interface Verified {
  readonly ok: true;
  readonly id: SpiffeId;
  readonly serial: string;
  readonly thumbprint: string;
  readonly notBeforeS: number;
  readonly expiresAtS: number;
  readonly bundleSequence: number;
}

export function isAgent(id: SpiffeId): boolean {
  return id.path.startsWith('/spire/agent/');
}

/** What is known of a peer by its certificate; that of an agent is its node's. */
export function factsOf(
  { id, thumbprint }: { readonly id: SpiffeId; readonly thumbprint?: string },
  registration: Pick<Registration, 'entriesOf'>,
): RevocationFacts {
  const labels = registration.entriesOf(id).map(({ attributes }) => attributes.labels);
  return { spiffeId: id.uri, thumbprint, labels, ...(isAgent(id) ? { nodeId: id.uri } : {}) };
}

/** Acts of the groups that the built-in policy alone decides are those of one kind of caller. */
function isGatewayAction(action: string): boolean {
  return isOneOf(action, rpcGroups['countersign:serve-gateway']);
}

function isOneOf(action: string, group: readonly string[]): boolean {
  return group.includes(action.slice('countersign:'.length));
}

/** No details and no reason: who may not call learns nothing of who may. */
function denied(): RpcError {
  return new RpcError(Code.PERMISSION_DENIED, 'the caller may not call this method');
}

/** Who is revoked has to hear of it, to end what it runs. */
const HEARS_OF_IT: ReadonlySet<string> = new Set([
  '/countersign.control.v1.Revocations/WatchRevocations',
  '/countersign.control.v1.Revocations/AckRevocations',
]);
const VERIFIED: unique symbol = Symbol('verified peer');
const NODE: unique symbol = Symbol('node');
const OPERATOR: unique symbol = Symbol('operator');
