import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import { abortError } from '../../std/index.ts';
import { encodePem } from '../../wire/x509/index.ts';
import type { CurrentIdentity } from '../identity.ts';

/**
 * The server half of TLS for clients that show an SVID. TLS 1.3 only, no resumption (a resumed handshake shows no certificate), and
 * OpenSSL's own path building is not asked: whoever calls verifies the chain. That the peer holds the key is proven by the handshake.
 */
export interface TlsAcceptor {
  /** Handshakes on that socket, bytes that were put back included. Rejects, with the socket destroyed, when it fails or the signal aborts. */
  handshake(socket: Socket, signal: AbortSignal): Promise<TLSSocket>;
  /** New handshakes show this identity. */
  present(identity: CurrentIdentity): void;
}

/**
 * Creates an acceptor for clients that offer one of these ALPN names, the first of them that both have; with `required`, only for those. Which, may
 * hang on the host that they ask for (SNI); none: what they offer is passed over.
 */
export function createTlsAcceptor(alpn: {
  namesFor(serverName: string | undefined): readonly string[];
  readonly required: boolean;
}): TlsAcceptor {
  let context: SecureContext | undefined;
  const chooseAlpn = ({ servername, protocols }: { servername: string; protocols: string[] }) =>
    alpn.namesFor(servername === '' ? undefined : servername).find((name) => protocols.includes(name));
  return {
    present(identity) {
      context = createSecureContext({
        key: encodePem('PRIVATE KEY', identity.keyDer),
        cert: identity.chainDer.map((der) => encodePem('CERTIFICATE', der)).join(''),
        ca: [],
        minVersion: 'TLSv1.3',
        secureOptions: constants.SSL_OP_NO_TICKET,
      });
    },
    handshake(socket, signal) {
      return new Promise((resolve, reject) => {
        const fail = (error: Error) => {
          socket.destroy();
          reject(error);
        };
        if (context === undefined) return fail(new Error('the gateway has no identity'));
        if (signal.aborted) return fail(abortError(signal));
        const tls = new TLSSocket(socket, {
          isServer: true,
          secureContext: context,
          requestCert: true,
          rejectUnauthorized: false,
          ...(alpn.namesFor(undefined).length === 0 ? {} : { ALPNCallback: chooseAlpn }),
        });
        const onAbort = () => finish(() => fail(abortError(signal)));
        const onError = (error: Error) => finish(() => fail(error));
        const onClose = () => finish(() => fail(new Error('the connection was closed')));
        const onSecure = () =>
          finish(() => {
            const names = alpn.namesFor(serverNameOf(tls));
            if (alpn.required && !names.includes(String(tls.alpnProtocol)))
              return fail(new Error(`the peer does not speak ${names.join(' or ')}`));
            resolve(tls);
          });
        const finish = (act: () => void) => {
          signal.removeEventListener('abort', onAbort);
          tls.off('error', onError).off('close', onClose).off('end', onClose).off('secure', onSecure);
          tls.on('error', () => {}); // Whoever serves it hears of 'close'.
          act();
        };
        socket.on('error', () => {}); // As above: the TLS socket reports it.
        tls.on('error', onError).on('close', onClose).on('end', onClose).on('secure', onSecure);
        signal.addEventListener('abort', onAbort, { once: true });
      });
    },
  };
}

/** The host that the client has asked for by SNI. */
export function serverNameOf(tls: TLSSocket): string | undefined {
  const { servername } = tls as { readonly servername?: unknown }; // Missing in the types of Node.
  return typeof servername === 'string' && servername !== '' ? servername : undefined;
}
