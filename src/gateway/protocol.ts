import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { PolicySchemaFragment } from '../policy/index.ts';
import type { Clock, Log, Member, Random, Secret } from '../std/index.ts';
import type { GatewaySession } from './session.ts';

/**
 * A protocol that the gateway speaks: the port of `protocols/<id>/`.
 *
 * Duties of a member: both sides' authentication ends in it; each operation is understood, decided, recorded and only then forwarded;
 * what it does not understand it refuses; a denial is an ordinary error of the protocol that leaves the connection usable; nothing it
 * buffers grows without a limit; it never tells the client the target's credential, nor writes it to log or ledger.
 */
export interface ProtocolMember extends Member {
  readonly kind: 'protocol';
  /** What the protocol adds to the policy language. */
  readonly policySchema: PolicySchemaFragment;
  /** ALPN name that clients of direct TLS may offer, undefined when the protocol has none. */
  readonly alpn: string | undefined;
  /** Problems of a target's config that its schema can't say, each one sentence; none: `openTarget` takes it. */
  checkConfig(config: unknown): readonly string[];
  /** Opens a target. Connects to nothing yet. @throws GatewayError ERR_GATEWAY_TARGET_CONFIG */
  openTarget(config: unknown, deps: TargetDeps): Target;
  /**
   * Brings a client without an agent to the point where TLS starts: answers the protocol's own encryption request, then calls
   * `startTls` with bytes that belong to TLS already. Undefined: the client was told why not, and the socket is ended.
   */
  negotiateDirect(socket: Socket, startTls: StartTls, signal: AbortSignal): Promise<Duplex | undefined>;
}

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
  /** 32 bytes: the key of `hash` masks, so that equal values stay equal and nobody outside can try values out. */
  readonly maskKey: Secret;
}

/** Resolves references such as `env:NAME`, `file:PATH`, `keystore:NAME`; asked each time a secret is needed, so that a rotated one counts at once. */
export interface SecretResolver {
  /** @throws GatewayError ERR_GATEWAY_SECRET */
  resolve(reference: string, signal: AbortSignal): Promise<Secret>;
}

/** An open target. */
export interface Target {
  /** Where direct clients reach it; undefined: only through agents. */
  readonly listen: { readonly host: string; readonly port: number } | undefined;
  /** Serves one client until either side ends. Resolves when it is over, whatever the reason; owns and closes `session.client`. */
  serve(session: GatewaySession): Promise<void>;
  /** Tells a client why it is not served, in the protocol's own words, and ends its connection. */
  refuse(client: Duplex, refusal: SessionRefusal): void;
  /** Logs in to the target once: undefined = fine, else one sentence for the operator. */
  check(signal: AbortSignal): Promise<string | undefined>;
  /** Drops what the target holds beside its sessions; these are ended by their own signals. */
  close(): Promise<void>;
}

/** Why a session is not opened, or is ended. `what` is safe to show to the client. */
export interface SessionRefusal {
  readonly code: 'identity' | 'policy' | 'limit' | 'shutdown' | 'timeout' | 'target' | 'ledger' | 'memory';
  readonly what: string;
}
