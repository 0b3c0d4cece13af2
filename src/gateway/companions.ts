import type { SessionRefusal } from './protocol.ts';
import type { Place, Quotas } from './sessions/quotas.ts';

/**
 * Gateways behind the same door, each of which takes some of the connections that come: what they can only keep together. A gateway alone has none.
 * Nothing is begun before they have answered; where they can't be asked, nothing is.
 */
export interface Companions {
  readonly quotas: Quotas;
  /** One more session of that identity (its SPIFFE ID), among those of all of them. */
  enter(identity: string): Promise<Place | SessionRefusal>;
  /** Takes a door for all of them: nobody else may listen there, nor they for another target. @throws GatewayError ERR_GATEWAY_LISTEN where somebody has it */
  takeDoor(door: SharedDoor): Promise<Place>;
  /** Has the others hear a word about a session that is not here. */
  passOn(word: PassedWord): void;
}

/** A door that each of them has. */
export interface SharedDoor {
  readonly target: string;
  /** An IP address. */
  readonly address: string;
  readonly port: number;
}

/** What a client says of another session, which any of the companions may have: it is for whoever has it to see that it may. */
export interface PassedWord {
  readonly target: string;
  /** Who says it, as its connection has proven: a SPIFFE ID. */
  readonly identity: string;
  /** As the protocol's member wrote it. */
  readonly bytes: Buffer;
}
