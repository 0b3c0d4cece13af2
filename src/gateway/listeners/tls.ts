import { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import { abortError } from '../../std/index.ts';
import { encodePem } from '../../wire/x509/index.ts';
import type { CurrentIdentity } from '../identity.ts';
import { hasHost, serverTls } from './server-certificate.ts';

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

/** What is agreed with clients, which may hang on the host that they ask for (SNI). */
export interface TlsTerms {
  /** ALPN names, of which the first is taken that both have; none: what clients offer is passed over. */
  namesFor(serverName: string | undefined): readonly string[];
  /** Only clients that offer one of these names are taken. */
  readonly required: boolean;
  /** The certificate that is shown in place of the identity's. `broken`: there should be one and is none that is good. */
  certificateFor?(serverName: string | undefined): SecureContext | 'broken' | undefined;
}

/** Creates an acceptor by these terms. */
export function createTlsAcceptor(alpn: TlsTerms): TlsAcceptor {
  let own: { readonly context: SecureContext; readonly leaf: X509Certificate } | undefined;
  const contextFor = (serverName: string | undefined): SecureContext => {
    if (own === undefined) throw new Error('the gateway has no identity');
    const certificate = alpn.certificateFor?.(serverName);
    if (certificate === undefined) return own.context;
    if (certificate !== 'broken') return certificate;
    // Whoever wants the gateway's identity asks for a name of that, or for none. Others would be shown what is not theirs.
    if (serverName === undefined || hasHost(own.leaf, serverName)) return own.context;
    throw new Error('the certificate for the host that the client asks for can not be used');
  };
  const chooseCertificate = (serverName: string, done: (error: Error | null, context?: SecureContext) => void) => {
    try {
      done(null, contextFor(serverName));
    } catch (error) {
      done(error instanceof Error ? error : new Error('no certificate', { cause: error }));
    }
  };
  const chooseAlpn = ({ servername, protocols }: { servername: string; protocols: string[] }) =>
    alpn.namesFor(servername === '' ? undefined : servername).find((name) => protocols.includes(name));
  return {
    present(identity) {
      const context = createSecureContext({
        ...serverTls,
        key: encodePem('PRIVATE KEY', identity.keyDer),
        cert: identity.chainDer.map((der) => encodePem('CERTIFICATE', der)).join(''),
      });
      own = { context, leaf: new X509Certificate(identity.chainDer[0] ?? Buffer.alloc(0)) };
    },
    handshake(socket, signal) {
      return new Promise((resolve, reject) => {
        const fail = (error: Error) => {
          socket.destroy();
          reject(error);
        };
        if (own === undefined) return fail(new Error('the gateway has no identity'));
        if (signal.aborted) return fail(abortError(signal));
        const tls = new TLSSocket(socket, {
          isServer: true,
          secureContext: contextFor(undefined), // Of whoever asks for no host.
          ...(alpn.certificateFor === undefined ? {} : { SNICallback: chooseCertificate }),
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
