/**
 * The agent's half of a protocol: the port of `local.ts` in the folder of its member. It says how a target looks at the agent's own socket, and is
 * all that an agent knows of the protocol.
 *
 * Its duties: it is pure, and works with the bytes that it is given; what it keeps of a session is what `follow` gives out, of a size that no peer can
 * choose; of a client it reads no more than takes to say why it is not served; bytes that it does not understand, it answers as it can, and never
 * throws. What is carried, it can neither change nor hold up: that is understood and decided at the gateway.
 */
export interface LocalProtocol {
  /** The member's. */
  readonly id: string;
  /** Name of the socket in the target's folder: what clients of the protocol look for there. */
  readonly socketFile: string;
  /** Where it is the server, a client that gets no session is told so before it has said a word. */
  readonly speaksFirst: 'client' | 'server';
  /** Reads what a client has said so far; only asked where it speaks first. */
  opening(received: Buffer): LocalOpening;
  /**
   * The last words to a client, in the protocol's own: `opening`: in place of a session; `session`: in one, where its {@link LocalSession} is not
   * `amid`. Empty where the protocol has none, and its end has to do.
   */
  refusal(refusal: LocalRefusal, place: 'opening' | 'session'): Buffer;
  /** Follows a session from its first byte on, to know where it can be ended. */
  follow(): LocalSession;
  /** How people open a target at that socket; one whose clients are told by their own arguments lacks it. */
  readonly client?: LocalClient;
}

/** The usual client of a protocol. */
export interface LocalClient {
  readonly program: string;
  /** What stands before its own words, where it is told a socket so. */
  arguments?(folder: string): readonly string[];
  /** Variables with which it, and most drivers, come by the socket in that folder. `env`: what there is already. */
  environment(folder: string, env: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>>;
  /** Variables for clients that can not use that socket, but an address of this machine that leads to it; absent where there are none. */
  loopback?(address: { readonly host: string; readonly port: number }): Readonly<Record<string, string>>;
}

/**
 * How far a client's opening is. `ready`: it can be told why it is not served; `decline`: it wants something first that is not to be had here, such as
 * encryption, and is answered so; `aside`: these bytes are about another session, such as that its statement is to be cancelled, begin none, and want no answer.
 */
export type LocalOpening =
  | { readonly step: 'more' }
  | { readonly step: 'decline'; readonly bytes: number; readonly answer: Buffer }
  | { readonly step: 'ready' }
  | { readonly step: 'aside'; readonly bytes: number };

/** One session as the agent sees it pass. */
export interface LocalSession {
  saw(from: 'client' | 'gateway', bytes: Buffer): void;
  /**
   * `rest`: the client waits for nothing and has nothing open, such as a transaction, so the session may be ended; `between`: words would be heard, but
   * something may be open or under way; `amid`: nothing may be said, as within a message, behind a goodbye, or where it can't be told.
   */
  place(): 'rest' | 'between' | 'amid';
}

/**
 * Why there is no session, or no longer. `identity`: the process has none; `gateway`: none reachable, or it is gone; `starting`: the agent knows too
 * little yet; `busy`: the process has too many; `stopping`: the agent ends.
 */
export interface LocalRefusal {
  readonly kind: 'identity' | 'gateway' | 'starting' | 'busy' | 'stopping';
  readonly message: string;
  /** What the user can do. */
  readonly hint: string;
}
