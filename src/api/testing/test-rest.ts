import { type IncomingHttpHeaders, type IncomingMessage, request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { spiffeIdOf } from '@countersign/sdk/identity';
import { endpoints } from '../../app/endpoint-registry.generated.ts';
import type { Endpoint, NeedsOf } from '../../endpoint/index.ts';
import { createPersons, type OidcConfig, personsMigrations } from '../../persons/index.ts';
import { admitPerson } from '../../revocation/index.ts';
import type { TlsIdentity } from '../../rpc/index.ts';
import { encodePem } from '../../wire/x509/index.ts';
import { createRest, type RestDeps } from '../rest/create-rest.ts';
import { restMigrations } from '../rest/idempotency.ts';
import type { RestServer } from '../rest/rest-server.ts';
import { startTestServer, trustDomain } from './test-server.ts';

/** A request as a test makes it. Without `as` it comes by the local socket. */
export interface TestRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** By TLS, with that certificate or none. */
  readonly as?: TlsIdentity | 'nobody';
  /** From this address of this machine; over TLS. */
  readonly from?: string;
}

export interface TestAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The text as JSON; undefined when there is none. */
  readonly json: Record<string, unknown>;
}

type Options = Parameters<typeof startTestServer>[0] & {
  readonly more?: readonly Endpoint<object>[];
  readonly oidc?: OidcConfig;
  readonly rest?: Partial<Pick<RestDeps<never>, 'times' | 'admission' | 'consoleFolder'>>;
};

const MIGRATIONS = [...restMigrations, ...personsMigrations];
const SIGN_IN_RULES = { lifetimeMs: 12 * 3_600_000, idleMs: 3_600_000, from: 'address' } as const;

/** A whole server with REST on a local socket and over TLS; only time, chance and the ledger are the test's. */
export async function startTestRest(options: Options = {}) {
  const server = await startTestServer({ migrations: MIGRATIONS, takesLinks: options.oidc === undefined, ...options });
  const { clock, log, random, store, authority, registration, resources, records, nodes, audit } = server;
  const { sessions, revocations, approvals } = server;
  const unix = join(server.folder, 'api.sock');
  const persons = createPersons(
    { store, clock, log, random, issuer: 'spiffe://example.org/spire/server', admit: admitPerson },
    { rules: SIGN_IN_RULES, oidc: options.oidc },
  );
  const signInUrl = (): string => `https://127.0.0.1:${portOf()}`;
  const needs = {
    access: server.access,
    ...{ records, registration, resources, revocations, approvals, sessions, clock, trustDomain },
    ...{ ...persons, signInUrl },
  };
  const authorities = authority.bundle().x509Authorities.map(({ der }) => der);
  const clientAuthorities = () => authorities;
  const rest: RestServer = createRest<NeedsOf<(typeof endpoints)[number]>>({
    ...{ clock, log, random, store, trustDomain, authority, registration, nodes, audit, needs, persons, signInUrl },
    revocations,
    ...(options.readOperator === undefined ? {} : { readOperator: options.readOperator }),
    ...options.rest,
    endpoints: [...endpoints, ...(options.more ?? [])],
    access: server.access,
    listen: [{ unix }, { host: '127.0.0.1', port: 0, tls: () => server.serverIdentity, clientAuthorities }],
  });
  const portOf = (): number => {
    const at = rest.addresses()[1];
    if (at === undefined || 'unix' in at) throw new Error('a TCP server has a port');
    return at.port;
  };
  await persons.start(new AbortController().signal);
  await rest.start(new AbortController().signal);
  const tcp = rest.addresses()[1];
  if (tcp === undefined || 'unix' in tcp) throw new Error('a TCP server has a port');

  const open = (request: TestRequest) => send({ unix, tcp }, request);
  const sockets: Socket[] = [];
  return {
    ...server,
    ...{ rest, unix, tcp, open, persons, signInUrl: signInUrl() },
    async ask(request: TestRequest): Promise<TestAnswer> {
      const answer = await open(request);
      const chunks: Buffer[] = [];
      for await (const chunk of answer) chunks.push(chunk);
      const text = Buffer.concat(chunks).toString('utf8');
      const { statusCode: status = 0, headers } = answer;
      return { status, headers, text, json: text === '' ? {} : JSON.parse(text) };
    },
    /** A connection to the local socket of which nothing is said yet. */
    raw(): Socket {
      const socket = connect(unix);
      socket.on('error', () => {});
      sockets.push(socket);
      return socket;
    },
    /** A token of that identity. */
    async token(path: string, audience: string): Promise<string> {
      const spiffeId = spiffeIdOf(trustDomain, path);
      return (await authority.issueJwtSvid({ spiffeId, audience: [audience], ttlS: 300 })).token;
    },
    /** Makes an entry that lets the identity operate the server. */
    async makeAdmin(path: string): Promise<void> {
      const selectors = [{ type: 'unix', value: 'uid:1' }];
      const parentId = 'spiffe://example.org/laptop';
      await registration.batchCreate([
        {
          id: `admin${path.replaceAll('/', '.')}`,
          spiffeId: `spiffe://example.org${path}`,
          parentId,
          selectors,
          admin: true,
        },
      ]);
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      const stopped = rest.stop();
      await clock.advance(60_000);
      await stopped;
      await server.stop();
    },
  };
}

export type TestRest = Awaited<ReturnType<typeof startTestRest>>;

/** The answer's headers; its body is still to be read. */
function send(
  { unix, tcp }: { unix: string; tcp: { host: string; port: number } },
  { method = 'GET', path, headers = {}, body, as, from }: TestRequest,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
    const length = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text ?? '') };
    const common = {
      ...{ method, path, agent: false as const },
      headers: { ...(text === undefined ? {} : length), ...headers },
    };
    const sent =
      as === undefined
        ? requestPlain({ ...common, socketPath: unix })
        : requestTls({
            ...common,
            ...tcp,
            ...(from === undefined ? {} : { localAddress: from }),
            rejectUnauthorized: false,
            ...(as === 'nobody' ? {} : pemOf(as)),
          });
    sent.on('response', resolve);
    sent.on('error', reject);
    sent.end(text);
  });
}

function pemOf({ chainDer, key }: TlsIdentity) {
  const cert = chainDer.map((der) => encodePem('CERTIFICATE', der)).join('');
  return { cert, key: key.export({ format: 'pem', type: 'pkcs8' }) };
}
