import { spiffeIdOf, type TrustDomain } from '@countersign/sdk/identity';
import { type AccessPolicies, createRest, type RestServer, type WriteAudit } from '../api/index.ts';
import type { Approvals } from '../approval/index.ts';
import { type Nodes, readOperator } from '../attestation/index.ts';
import type { Authority } from '../authority/index.ts';
import { apiSocketOf, parseAddress, type ServerConfig } from '../config/index.ts';
import type { NeedsOf } from '../endpoint/index.ts';
import { createPersons, type PersonsConfig } from '../persons/index.ts';
import { readGivenSecretNow } from '../private-files/index.ts';
import type { Records } from '../records/index.ts';
import type { Registration } from '../registration/index.ts';
import type { Resources } from '../resources/index.ts';
import { admitPerson, type Revocations } from '../revocation/index.ts';
import type { Listen } from '../rpc/index.ts';
import type { LiveSessions } from '../sessions/index.ts';
import { parseDurationMs, type Secret, type Service, startAll, stopAll } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import { createApiIdentity } from './api-identity.ts';
import { CONSOLE_FOLDER } from './console-folder.ts';
import { endpoints } from './endpoint-registry.generated.ts';
import { AppError } from './errors.ts';
import type { RoleDeps } from './role.ts';
import { createServerIdentity, type ServerIdentity } from './server-identity.ts';

/** The server's REST API: on a socket beside that of operators, and over TLS where the configuration says so. */
export function createServerRest(
  deps: RoleDeps<ServerConfig>,
  parts: {
    readonly trustDomain: TrustDomain;
    readonly access: AccessPolicies;
    readonly store: Store;
    readonly authority: Authority;
    readonly registration: Registration;
    readonly resources: Resources;
    readonly nodes: Nodes;
    readonly sessions: LiveSessions;
    readonly records: Records;
    readonly revocations: Revocations;
    readonly approvals: Approvals;
    readonly identity: ServerIdentity;
    readonly audit: WriteAudit;
  },
): RestServer {
  const { access, approvals, records, registration, resources, revocations, sessions, trustDomain } = parts;
  const door = tlsDoor(deps, parts);
  const issuer = spiffeIdOf(trustDomain, '/spire/server').uri;
  const persons = createPersons(
    { ...parts, ...{ clock: deps.clock, log: deps.log, random: deps.random, issuer, admit: admitPerson } },
    personsConfig(deps.config),
  );
  const signInUrl = () => signInUrlOf(deps.config, rest.addresses());
  const rest: RestServer = createRest<NeedsOf<(typeof endpoints)[number]>>({
    ...{ clock: deps.clock, log: deps.log, random: deps.random },
    ...parts,
    readOperator,
    endpoints,
    needs: {
      ...{ access, approvals, records, registration, resources, revocations, sessions, clock: deps.clock, trustDomain },
      ...{ ...persons, signInUrl },
    },
    ...{ persons, signInUrl, consoleFolder: CONSOLE_FOLDER },
    listen: [{ unix: apiSocketOf(deps.config.socket), mode: 0o600 }, ...door.listen],
  });
  return {
    start: (signal) => startAll([...door.services, persons, rest], signal),
    stop: () => stopAll([...door.services, persons, rest]),
    addresses: rest.addresses,
  };
}

/** How people sign in, as the configuration says. */
function personsConfig({ api }: ServerConfig): PersonsConfig {
  const { lifetime = '12h', idle = '1h', from = 'address', oidc } = api?.signIn ?? {};
  return {
    oidc: oidc === undefined ? undefined : { ...oidc, clientSecret: secretOf(oidc.clientSecret) },
    rules: { lifetimeMs: parseDurationMs(lifetime) ?? 0, idleMs: parseDurationMs(idle) ?? 0, from },
  };
}

/** Read at each use: who changes it at the provider changes it here without a stop. */
function secretOf(reference: string | undefined): (() => Secret) | undefined {
  if (reference === undefined) return undefined;
  return () => {
    const secret = readGivenSecretNow(reference, { env: process.env, bytesMax: SECRET_BYTES_MAX });
    if (secret !== undefined) return secret;
    throw new AppError('ERR_APP_CONFIG', 'server.api.signIn.oidc: there is no clientSecret where it refers to');
  };
}

/** Where browsers reach it: what the configuration says, else the name or the address that it listens at. */
function signInUrlOf({ api }: ServerConfig, addresses: ReturnType<RestServer['addresses']>): string | undefined {
  const at = addresses.find((one) => 'port' in one);
  if (api === undefined || at === undefined || !('port' in at)) return undefined;
  if (api.url !== undefined) return api.url;
  const host = api.dnsName ?? (['0.0.0.0', '::'].includes(at.host) ? undefined : at.host);
  return host === undefined ? undefined : `https://${host.includes(':') ? `[${host}]` : host}:${at.port}`;
}

/** What is shown over TLS, and what keeps that fresh. @throws AppError ERR_APP_CONFIG */
function tlsDoor(
  { config, clock, log }: RoleDeps<ServerConfig>,
  { authority, trustDomain, identity }: { authority: Authority; trustDomain: TrustDomain; identity: ServerIdentity },
): { readonly listen: readonly Listen[]; readonly services: readonly Service[] } {
  const { api } = config;
  if (api === undefined) return { listen: [], services: [] };
  const { certificate, key, dnsName } = api;
  const at = { ...parseAddress(api.listen), clientAuthorities: authoritiesOf(authority) };
  if ((certificate === undefined) !== (key === undefined))
    throw new AppError('ERR_APP_CONFIG', 'server.api has certificate or key alone: give both, or neither');
  if (certificate !== undefined && key !== undefined) {
    if (dnsName !== undefined)
      throw new AppError(
        'ERR_APP_CONFIG',
        'server.api has certificate and dnsName: the certificate has its names already',
      );
    return { listen: [{ ...at, tls: createApiIdentity({ log, env: process.env, certificate, key }) }], services: [] };
  }
  if (dnsName === undefined) return { listen: [{ ...at, tls: identity.tls }], services: [] };
  const id = spiffeIdOf(trustDomain, '/spire/server');
  const named = createServerIdentity({ authority, clock, log, id, dnsNames: [dnsName] });
  return { listen: [{ ...at, tls: named.tls }], services: [named] };
}

/** Those whose SVIDs are good here; one array for as long as they are the same. */
function authoritiesOf(authority: Authority): () => readonly Buffer[] {
  let known: { readonly sequence: number; readonly ders: readonly Buffer[] } | undefined;
  return () => {
    const { sequence, x509Authorities } = authority.bundle();
    if (known?.sequence !== sequence) known = { sequence, ders: x509Authorities.map(({ der }) => der) };
    return known.ders;
  };
}

const SECRET_BYTES_MAX = 4096;
