import { X509Certificate } from 'node:crypto';
import { type IncomingMessage, type RequestOptions, request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import type { PeerCertificate } from 'node:tls';
import { parseSpiffeId } from '../identity/index.ts';
import { type ApiClient, type ApiReply, type ApiRequest, createClientOver } from './api-client.ts';
import { lookupOf } from './localhost.ts';

/** Where a server is, and by what the caller proves who it is. */
export type ApiPlace =
  /** The operator's local socket, `api.sock`: the kernel says who calls. */
  | { readonly unix: string }
  | {
      readonly host: string;
      readonly port: number;
      /** Certificates in PEM that the server's is held against; those of the machine when it is left out. */
      readonly bundle?: string | undefined;
      /** The SPIFFE ID of the server, which its certificate has to name; when it is left out it has to name `host`. */
      readonly server?: string | undefined;
      /** An X.509-SVID of the caller's own, in PEM. Asked for with each request, since it is renewed. */
      readonly svid?: (() => { readonly certificate: string; readonly key: string }) | undefined;
      /** A JWT-SVID for the audience `spiffe://<trust domain>/spire/server`. Asked for with each request. */
      readonly token?: (() => string) | undefined;
    };

/**
 * Creates a client of the server at that place. It keeps no connection.
 *
 * ```ts
 * const api = createApiClient({ unix: '/run/countersign/server/api.sock' });
 * const { output } = await api.call('target.get', { name: 'shop' });
 * ```
 */
export function createApiClient(place: ApiPlace): ApiClient {
  return createClientOver(async (request) => replyOf(await sendRequest(place, request)));
}

function replyOf(answer: IncomingMessage): ApiReply {
  return {
    status: answer.statusCode ?? 0,
    header: (name) => answer.headersDistinct[name]?.join(', '),
    body: answer,
    close: () => answer.destroy(),
  };
}

/** Resolves once the answer's headers are there, and rejects where there is none. Whoever calls reads the answer to its end. */
function sendRequest(place: ApiPlace, { method, path, headers, body, signal }: ApiRequest): Promise<IncomingMessage> {
  const common: RequestOptions = {
    ...{ method, path, agent: false },
    headers: {
      ...headers,
      ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      ...tokenOf(place),
    },
    ...(signal === undefined ? {} : { signal }),
  };
  return new Promise((resolve, reject) => {
    const sent =
      'unix' in place
        ? requestPlain({ ...common, socketPath: place.unix, host: 'localhost' })
        : requestTls({ ...common, ...tlsOf(place) });
    sent.on('response', resolve);
    sent.on('error', reject);
    sent.end(body);
  });
}

function tokenOf(place: ApiPlace): Readonly<Record<string, string>> {
  const token = 'unix' in place ? undefined : place.token?.();
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

function tlsOf(place: Exclude<ApiPlace, { unix: string }>) {
  const { host, port, bundle, server, svid } = place;
  const own = svid?.();
  const lookup = lookupOf(host);
  return {
    ...{ host, port, minVersion: 'TLSv1.3' as const },
    ...(lookup === undefined ? {} : { lookup }),
    ...(bundle === undefined ? {} : { ca: bundle }),
    ...(own === undefined ? {} : { cert: own.certificate, key: own.key }),
    ...(server === undefined
      ? {}
      : {
          // A SPIFFE ID says who it is, whatever name it was found under.
          servername: '',
          checkServerIdentity: (_name: string, certificate: PeerCertificate) => faultOf(certificate, server),
        }),
  };
}

/** The chain was verified by then. An SVID names one ID, and nothing else by a URI. @see X509-SVID §2 */
function faultOf(certificate: PeerCertificate, server: string): Error | undefined {
  const names = new X509Certificate(certificate.raw).subjectAltName ?? '';
  const wanted = parseSpiffeId(server).uri;
  // IDs hold neither commas nor quotes, so what stands between commas is an ID as it is.
  const uris = names.split(', ').filter((name) => name.startsWith('URI:'));
  if (uris.length === 1 && uris[0] === `URI:${wanted}`) return undefined;
  return new Error(`the server that answered is not ${wanted}`);
}
