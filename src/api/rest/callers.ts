import type { Socket } from 'node:net';
import type { SpiffeId, TrustDomain } from '@countersign/sdk/identity';
import type { Nodes } from '../../attestation/index.ts';
import type { Authority } from '../../authority/index.ts';
import type { Principal } from '../../endpoint/index.ts';
import type { Registration } from '../../registration/index.ts';
import type { Revocations } from '../../revocation/index.ts';
import type { Peer } from '../../rpc/index.ts';
import type { Clock } from '../../std/index.ts';
import { verifyJwtSvid } from '../../wire/jose/index.ts';
import { factsOf, isAgent, type ReadOperator, verifyPeer } from '../authorize.ts';
import { createIdentityPrincipal } from '../identity-principal.ts';
import { RestError } from './errors.ts';
import type { HeaderOf } from './sign-in/browser.ts';
import type { People } from './sign-in/people.ts';

/** Makes sure of who calls. */
export interface Callers {
  /**
   * Who is calling, at this moment: by the kernel's word on the local socket, else by an X.509-SVID in TLS, by a JWT-SVID as bearer, or by both of
   * one identity; a person by the cookie of a browser or the token of a command line. @throws RestError ERR_REST_CALLER, ERR_REST_ORIGIN
   */
  principalOf(peer: Peer, request: CallingRequest): Promise<Principal>;
}

/** What a request says of who makes it. */
export interface CallingRequest {
  readonly method: string;
  readonly header: HeaderOf;
  /** False where it only is made sure that a caller of before still is one. */
  readonly isUse: boolean;
}

/** Creates them. Tokens are for one audience: the SPIFFE ID of the server. */
export function createCallers(deps: {
  readonly clock: Clock;
  readonly trustDomain: TrustDomain;
  readonly authority: Pick<Authority, 'bundle'>;
  readonly registration: Pick<Registration, 'entriesOf'>;
  readonly nodes: Pick<Nodes, 'checkSerial'>;
  readonly readOperator?: ReadOperator;
  readonly people: People;
  readonly revocations: Pick<Revocations, 'refuseUse'>;
}): Callers {
  const { clock, trustDomain, authority, nodes } = deps;
  const audience = `spiffe://${trustDomain}/spire/server`;
  const operators = new WeakMap<Socket, Principal>();
  const states = new WeakMap<Socket, Map<symbol, unknown>>();

  const operatorOf = (socket: Socket): Principal => {
    const known = operators.get(socket);
    if (known !== undefined) return known;
    const operator = deps.readOperator?.(socket);
    const principal: Principal = { kind: 'operator', uid: operator?.uid, text: operator?.text };
    operators.set(socket, principal);
    return principal;
  };

  const principalOf = createIdentityPrincipal(deps);
  const identityOf = (id: SpiffeId): Principal => {
    deps.revocations.refuseUse(factsOf({ id }), 'operating');
    return principalOf(id);
  };

  const idOfToken = (token: string): SpiffeId => {
    const authorities = (of: TrustDomain) => (of === trustDomain ? authority.bundle().jwtAuthorities : undefined);
    const result = verifyJwtSvid({ token, audience, authorities, nowMs: clock.now() });
    if (!result.ok) throw unknown(`the token is no JWT-SVID for ${audience}: ${result.reason}`);
    const { id } = result.svid;
    // An agent's identity is that of a key in its hands; a server's own is nobody's who calls.
    if (id.path.startsWith('/spire/')) throw unknown('no token stands for an agent or a server');
    return id;
  };

  const ofCertificate = async (peer: Extract<Peer, { kind: 'tls' }>): Promise<Principal> => {
    const state = states.get(peer.socket) ?? new Map<symbol, unknown>();
    states.set(peer.socket, state);
    const verdict = verifyPeer(deps, { peer, state });
    if (!verdict.ok) throw unknown(`the certificate is no X.509-SVID that is good here: ${verdict.reason}`);
    const { id, serial } = verdict;
    deps.revocations.refuseUse(factsOf(verdict), 'operating');
    if (!isAgent(id)) return identityOf(id);
    const standing = await nodes.checkSerial(id, serial);
    if (standing === 'current' || standing === 'promoted') return { kind: 'node', id };
    throw unknown(`the SVID of the agent does not count: ${standing}`);
  };

  const unknown = (message: string) =>
    new RestError('ERR_REST_CALLER', message, { headers: { 'www-authenticate': `Bearer realm="${audience}"` } });

  return {
    async principalOf(peer, request) {
      if (peer.kind === 'local') return operatorOf(peer.socket);
      const authorization = request.header('authorization');
      const token = authorization === undefined ? undefined : /^bearer +(\S+)$/i.exec(authorization)?.[1];
      if (authorization !== undefined && token === undefined)
        throw unknown('Authorization is not of the form Bearer …');
      const person = await deps.people.personOf(peer, { ...request, token });
      const shown = peer.chainDer.length > 0 ? await ofCertificate(peer) : undefined;
      if (person !== undefined) {
        const { issuer, subject } = person.principal;
        deps.revocations.refuseUse({ person: { issuer, subject } }, 'operating');
        if (shown === undefined && !(person.by === 'cookie' && token !== undefined)) return person.principal;
        throw unknown('the request names two callers');
      }
      if (token === undefined) {
        if (shown !== undefined) return shown;
        throw unknown(`nobody is named: show an X.509-SVID in TLS, or send a JWT-SVID for ${audience}`);
      }
      const id = idOfToken(token);
      if (shown !== undefined && !(shown.kind === 'identity' && shown.id.uri === id.uri))
        throw unknown('the certificate and the token name two callers');
      return identityOf(id);
    },
  };
}
