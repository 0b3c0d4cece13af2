import { X509Certificate } from 'node:crypto';
import { type IncomingMessage, type RequestOptions, request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import type { PeerCertificate } from 'node:tls';
import { parseSpiffeId } from '../identity/index.ts';
import { type ApiClient, type ApiReply, type ApiRequest, createClientOver } from './api-client.ts';
import { lookupOf } from './localhost.ts';
import { createTurns, NotReached } from './turns.ts';

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
 *
 * Of several places, which stand for servers of one trust domain, the first that answers is asked, and asked from then on; where it goes away the next is. What
 * may have been sent is asked for again only where that does no more than once: what only looks, and what has an idempotency key.
 */
export function createApiClient(places: ApiPlace | readonly [ApiPlace, ...ApiPlace[]]): ApiClient {
  if (!('length' in places)) return clientOf(places);
  const [first, ...others] = places;
  if (others.length === 0) return clientOf(first);
  const ways = places.map((place) => ({
    name: placeText(place),
    send: async (request: ApiRequest) => replyOf(await sendRequest(place, request, REACH_MS_MAX)),
  }));
  return createClientOver(createTurns(ways));
}

function clientOf(place: ApiPlace): ApiClient {
  return createClientOver(async (request) => replyOf(await sendRequest(place, request)));
}

/** As people write it. */
function placeText(place: ApiPlace): string {
  return 'unix' in place ? place.unix : `${place.host}:${place.port}`;
}

function replyOf(answer: IncomingMessage): ApiReply {
  return {
    status: answer.statusCode ?? 0,
    header: (name) => answer.headersDistinct[name]?.join(', '),
    body: answer,
    close: () => answer.destroy(),
  };
}

/**
 * Resolves once the answer's headers are there, and rejects where there is none. Whoever calls reads the answer to its end. `reachMsMax`: how long it may
 * take until the server has proved itself. @throws NotReached where that is said; Error
 */
function sendRequest(
  place: ApiPlace,
  { method, path, headers, body, signal }: ApiRequest,
  reachMsMax?: number,
): Promise<IncomingMessage> {
  const common: RequestOptions = {
    ...{ method, path, agent: false },
    headers: {
      ...headers,
      ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      ...tokenOf(place),
    },
    ...(signal === undefined ? {} : { signal }),
    ...(reachMsMax === undefined ? {} : { timeout: reachMsMax }),
  };
  return new Promise((resolve, reject) => {
    const sent =
      'unix' in place
        ? requestPlain({ ...common, socketPath: place.unix, host: 'localhost' })
        : requestTls({ ...common, ...tlsOf(place) });
    sent.on('response', resolve);
    let isReached = false;
    const reached = 'unix' in place ? 'connect' : 'secureConnect';
    sent.on('socket', (socket) => socket.on(reached, () => (isReached = true)));
    sent.on('timeout', () => {
      if (!isReached) sent.destroy(new Error(`nobody has answered for ${reachMsMax} ms`));
    });
    sent.on('error', (error) =>
      reject(reachMsMax === undefined || isReached ? error : new NotReached(placeText(place), error)),
    );
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

/** A server that is there takes a connection in a fraction of that; one that stands still never does. */
const REACH_MS_MAX = 3_000;
