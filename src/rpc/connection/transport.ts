import type { KeyObject } from 'node:crypto';
import type { UnixListener } from '../listener/unix-listener.ts';

/** What one side of a TLS connection proves itself with. */
export interface TlsIdentity {
  /** Certificates, DER, leaf first, without the root. */
  readonly chainDer: readonly Buffer[];
  readonly key: KeyObject;
}

/** Where a server listens. */
export type Listen =
  | {
      /** Absolute path of a unix socket. */
      readonly unix: string;
      /** Mode of the socket file; 0o600 unless said. */
      readonly mode?: number;
      /** Puts the socket where clients find it: at once, or when it may. At once, where nobody listens, unless said. */
      readonly place?: (door: UnixListener) => Promise<void>;
    }
  | {
      readonly host: string;
      /** 0 = any free port. */
      readonly port: number;
      /** The newest identity; asked at start and again for each new connection. */
      readonly tls: () => TlsIdentity;
      /**
       * CA certificates, DER, that callers are told by name to show certificates of; another array once they have changed. A browser asks its user for
       * none of the certificates that it has besides. Nothing is trusted by that. @see RFC 8446 §4.2.4
       */
      readonly clientAuthorities?: () => readonly Buffer[];
    };

/** Where a client connects to. */
export type Connect =
  | { readonly unix: string }
  | {
      readonly host: string;
      readonly port: number;
      /** Where else, in this order, when nobody answers there at once: others that may stand for the same server. */
      readonly others?: readonly { readonly host: string; readonly port: number }[];
      readonly tls: {
        /** Throws unless the server's chain (DER, leaf first, as sent) proves the expected identity. Nothing is sent before it returns. */
        verifyPeer(chainDer: readonly Buffer[]): void;
        /** The client's own identity; asked for each new connection; undefined = none is shown. */
        identity?: () => TlsIdentity | undefined;
      };
    };

/**
 * Connections that the kernel holds until they are taken up, as many as it will by default. Whoever comes when it is full waits for a second or
 * three before his own kernel tries again, and is refused at once on a unix socket.
 */
export const BACKLOG = 4096;
