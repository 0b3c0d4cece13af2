import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SpiffeId } from '@countersign/sdk/identity';
import type { Barred, DecisionRequest, EntityRef } from '../model/index.ts';
import type { PolicyNames, PolicySchemaFragment } from '../policy/index.ts';
import type { CacheBudget, Clock, Log, Member, Random, Secret } from '../std/index.ts';
import type { GatewayIdentity } from './identity.ts';
import type { Bearer } from './listeners/verify-token.ts';
import type { GatewaySession, SessionPolicy } from './sessions/session.ts';

/**
 * A protocol that the gateway speaks: the port of `protocols/<id>/`.
 *
 * Duties of a member: both sides' authentication ends in it; each operation is understood and decided, and goes to the target, as its answer
 * to the client, by a pipeline of the session's gate alone; what it does not understand it refuses; a denial is an ordinary error of the protocol
 * that leaves the connection usable; nothing it buffers grows without a limit; it never tells the client the target's credential, nor writes
 * it to log or ledger.
 */
export interface ProtocolMember extends Member {
  readonly kind: 'protocol';
  /** What the protocol adds to the policy language. */
  readonly policySchema: PolicySchemaFragment;
  /** Problems of a target's config that its schema can't say, each one sentence; none: `openTarget` takes it. */
  checkConfig(config: unknown): readonly string[];
  /**
   * The names that may follow a target's own in the ids of its resources (its databases, its routes), when its config says; undefined when it
   * does not, or is no config.
   */
  namesServed?(config: unknown): readonly string[] | undefined;
  /** What one of the commands is that `questionsOf` takes, and so the option of `policy explain` for it; a member lacks it that has no such function. */
  readonly command?: 'sql' | 'request';
  /** Loads what the data path needs: whoever only declares, decides or asks does without. */
  load(): Promise<ProtocolPath>;
}

/** The half of a protocol that stands in the data path. */
export interface ProtocolPath {
  /** The way in for clients without an agent; undefined: there is none, and a target can't listen for them. */
  readonly door: MemberDoor | undefined;
  /**
   * What a command would ask of policy, by this protocol's own analysis, with its names taken as they are written: nothing is asked of the
   * target. `place`: one of `namesServed`, the first where it is not given. `columnsOf`: what is known of a resource's columns, for a command that
   * works with all of them. A member lacks it whose commands can't be told by their text.
   */
  questionsOf?(
    command: string,
    target: { name: string; config: unknown; place?: string; columnsOf?: (resource: EntityRef) => readonly string[] },
  ): Promise<AskedQuestions>;
  /** Opens a target. Connects to nothing yet. @throws GatewayError ERR_GATEWAY_TARGET_CONFIG */
  openTarget(config: unknown, deps: TargetDeps): Target;
}

/**
 * How clients without an agent prove who they are, by kind of proof. One by the protocol's own handshake is another kind, with a way in of its own at
 * `admission.ts` (decision 0032).
 */
export type MemberDoor = SvidDoor | TokenDoor;

/** The client shows its SVID to TLS: who it is stands for the whole connection, before the member hears of it. */
export interface SvidDoor {
  readonly proof: 'svid';
  /** ALPN names that clients of direct TLS may offer, of which the first is taken that both have; none when the protocol has none. */
  readonly alpn: readonly string[];
  /**
   * Brings a client to the point where TLS starts: answers the protocol's own encryption request, then calls `startTls` with bytes that belong
   * to TLS already. Undefined: the client was told why not, and the socket is ended.
   */
  negotiate(socket: Socket, startTls: StartTls, signal: AbortSignal): Promise<Duplex | undefined>;
}

/**
 * The client shows a JWT-SVID with each request, on TLS: who it is stands for one request. Whoever shows a certificate is taken by that as by an
 * {@link SvidDoor}, and its tokens prove nothing. The connection is the session's of whom its requests prove, one session after another, and between them
 * the door's; or, where requests run side by side, each caller's session has its part of it (decision 0045).
 */
export interface TokenDoor extends Omit<SvidDoor, 'proof'> {
  readonly proof: 'token';
  /** Tokens must be for this, and for nothing else. */
  readonly audience: string;
  /**
   * Reads on to a request that proves its caller, whose bytes are put back with all behind them, the client left paused. Those before it are told
   * what to do. Undefined: the client has gone, or was told and its connection is ending.
   */
  meet(client: Duplex, asked: Meeting): Promise<ShownToken | undefined>;
  /**
   * Serves a client whose requests run side by side, each proving who calls: each caller has a session of its own, opened by `enter`. Owns the client,
   * and resolves when it and the sessions are over. Undefined: the requests of this one come one after another, as `meet` takes them.
   */
  carry?: ((client: Duplex, asked: Carrying) => Promise<void> | undefined) | undefined;
}

/** A token, and whom it proves. */
export interface ShownToken {
  readonly token: string;
  readonly bearer: Bearer;
}

/** What a {@link TokenDoor} asks. */
export interface Meeting {
  /** Whose that token is, or why it proves nothing, in a sentence that may be shown. */
  verify(token: string): Bearer | string;
  /** Hears of each request that was told no. */
  refused(what: string): void;
  /** Aborts when the gateway stops. */
  readonly signal: AbortSignal;
  /** Its requests have proven somebody before: it may be idle as long as a session. */
  readonly isKnown: boolean;
}

/** What a {@link TokenDoor} asks that carries several callers at once. */
export interface Carrying extends Meeting {
  /** A caller that a token has proven, and whose session has `part` for its client: what of the connection is that caller's alone. */
  enter(shown: ShownToken, part: Duplex): EnteredCaller;
}

/** A caller on its way in. */
export interface EnteredCaller {
  /** Whether that token is this caller's. One that is good for longer prolongs the session. */
  isOwn(token: string): boolean;
  /** Opens the session and has the target serve it to its end; where there is to be none, the target tells `part` why. */
  serve(): Promise<void>;
}

/** A protocol that a gateway has loaded. */
export interface LoadedProtocol extends ProtocolPath, Pick<ProtocolMember, 'policySchema'> {
  readonly id: string;
}

/** Loads the data path of all of them. */
export function loadProtocols(members: readonly ProtocolMember[]): Promise<readonly LoadedProtocol[]> {
  return Promise.all(
    members.map(async (member) => {
      const { id, policySchema } = member;
      return { id, policySchema, ...(await member.load()) };
    }),
  );
}

/** One of them. `open`: sets of its context of which there is more than could be told. */
export type AskedQuestion = Pick<DecisionRequest, 'action' | 'resource' | 'context'> & {
  readonly open?: readonly string[];
};

/** The questions of one command. */
export type AskedQuestions =
  | {
      readonly ok: true;
      readonly questions: readonly AskedQuestion[];
      /** What was assumed, a sentence each. */
      readonly notes: readonly string[];
      /** Why the command is refused under policies that allow each of them, as far as can be told: for their masks. Undefined when it is not. */
      refusedUnder(policy: Pick<SessionPolicy, 'decide' | 'potentialMasks'>): string | undefined;
    }
  /** It is refused whatever policy says, and why. */
  | { readonly ok: false; readonly why: string };

/** Goes on in TLS on that socket; `first` are bytes already read that belong to it. Resolves once the handshake is done. */
export type StartTls = (first: Buffer) => Promise<Duplex>;

/** What a target gets to work with. */
export interface TargetDeps {
  /** The target's name: first part of its resource ids. */
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly secrets: SecretResolver;
  readonly policies: TargetPolicies;
  /** The gateway's own: what it says of a caller to a target that can't see it otherwise is proven by it. */
  readonly identity: Pick<GatewayIdentity, 'current'>;
  /** Where everything is kept that could be worked out again. */
  readonly caches: CacheBudget;
  /** 32 bytes: the key of `hash` masks, so that equal values stay equal and nobody outside can try values out. */
  readonly maskKey: Secret;
  /**
   * Is told how each login to the target ended, be it for a session or the gateway's own: undefined = it went well. Not of one that
   * whoever wanted it gave up, nor of one that may have failed of what a client asked for. `place` names what can fail by itself, such as a database.
   */
  attempted(place: string, problem: LoginProblem | undefined): void;
  /** A client of that identity says something of a session that is not here: whoever else may have it will `hear` it. Absent: nobody. */
  passOn?(identity: SpiffeId, word: Buffer): void;
}

/** Why the target did not let the gateway in. Operators are shown it: no secret is in it, nor any text of the target's. */
export interface LoginProblem {
  /** One sentence. */
  readonly what: string;
  /** What the operator does about it. */
  readonly remedy: string;
}

/** Resolves references such as `env:NAME`, `file:PATH`, `keystore:NAME`; asked each time a secret is needed, so that a rotated one counts at once. */
export interface SecretResolver {
  /** @throws GatewayError ERR_GATEWAY_SECRET */
  resolve(reference: string, signal: AbortSignal): Promise<Secret>;
}

/** What the policies in force name, for a target that can tell which of it is not there. */
export interface TargetPolicies {
  /** Undefined before the first policies came. */
  names(): PolicyNames | undefined;
  /** Calls after each change of policies; returns how to stop. */
  onChange(listener: () => void): () => void;
}

/**
 * Something about a target that is worth an operator's look though the target is served; `what` is one sentence. No secret is in it. `names`:
 * a policy names what is not there, and nothing is refused for it; `masks`: a policy masks what is not there, and what it may hide is refused.
 */
export interface TargetWarning {
  readonly about: 'names' | 'masks' | 'upstream';
  readonly what: string;
  readonly remedy: string;
}

/** A door as a target declares it. */
export interface DoorDeclaration {
  readonly host: string;
  readonly port: number;
  /** References of a certificate that clients without the gateway's trust domain know it by, and of its key; both or none. */
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

/** An open target. */
export interface Target {
  /** Where direct clients reach it; undefined: only through agents. */
  readonly listen: DoorDeclaration | undefined;
  /** What they may call it, in lower case: by that, in TLS, several targets of the protocol share a door. Undefined: it has a door of its own. */
  readonly hosts?: readonly string[] | undefined;
  /** How they prove who they are there, where its config says otherwise than its protocol. */
  readonly door?: MemberDoor | undefined;
  /** Serves one client until either side ends. Resolves when it is over, whatever the reason; owns and closes `session.client`. */
  serve(session: GatewaySession): Promise<void>;
  /** Tells a client why it is not served, in the protocol's own words, and ends its connection. */
  refuse(client: Duplex, refusal: SessionRefusal): void;
  /** Takes a word that came to another gateway behind the same door, as that has passed it on; one without such words lacks it. */
  hear?(identity: SpiffeId, word: Buffer): void;
  /** Logs in to the target once, to that place (see `attempted`) or the usual one: undefined = fine, else one sentence for the operator. */
  check(signal: AbortSignal, place?: string): Promise<string | undefined>;
  /**
   * Reads anew what is in the target, as far as policies name it, so that `warnings` are of now; one that has none lacks it. A login
   * that fails is told by `attempted`. @throws the abort error
   */
  look?(signal: AbortSignal): Promise<void>;
  /** What is odd about it now; one that never has anything to say lacks it. */
  warnings?(): readonly TargetWarning[];
  /** Bytes that it takes to know what is in the target, about; one that knows nothing lacks it. */
  catalogBytes?(): number;
  /** One of its places is well, whatever others fail of, and serves for them; one that has no such places lacks it. */
  serves?(): boolean;
  /** Drops what the target holds beside its sessions; these are ended by their own signals. */
  close(): Promise<void>;
}

/** Why a session is not opened, or is ended. `what` is safe to show to the client. `closed`: none is opened now, by anybody; another gateway may. */
export interface SessionRefusal {
  readonly code:
    | 'identity'
    | 'host'
    | 'policy'
    | 'limit'
    | 'closed'
    | 'shutdown'
    | 'operator'
    | 'timeout'
    | 'target'
    | 'ledger'
    | 'memory'
    | Barred['reason'];
  readonly what: string;
  /** Of `operator`, for the ledger: who it was, and what for. */
  readonly by?: string;
  readonly why?: string;
  /** Of a revocation, for the ledger: its id. */
  readonly revocation?: string;
}
