import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ApiClient, type ApiPlace, createApiClient } from '@countersign/sdk/client';
import { apiSocketOf, parseAddresses } from '../../config/index.ts';
import { assert, codeOf, messageOf } from '../../std/index.ts';
import { decodeCertificatesPem, parseCertificate } from '../../wire/x509/index.ts';
import { type CliContext, type CliInput, textOption, UsageError } from '../command.ts';
import { type Login, readLogin } from '../people/login-file.ts';
import { settingsIfAny } from '../settings.ts';

/** Options of commands that call the server by REST. */
export const restOptions = [
  ['--api-socket <path>', "the server's api.sock (default: as the login says, else beside the configured socket)"],
  [
    '--server <host:port,…>',
    'REST at a server elsewhere, over TLS, or the first of several that answers; with --identity, else with the kept login',
  ],
  ['--identity <dir>', 'folder with svid.pem, key.pem and bundle.pem (countersign svid fetch --dir)'],
] as const;

/** A place of a server without what proves who calls: of TLS. */
export interface TlsPlace {
  readonly host: string;
  readonly port: number;
  readonly ca: string | undefined;
}

/** Runs `work` with a client of the server: as whoever logged in, by an identity, or as the operator of this machine. @throws ApiProblem; UsageError */
export async function withRest<T>(
  context: CliContext,
  input: CliInput,
  work: (client: ApiClient) => Promise<T>,
): Promise<T> {
  const places = await placesOf(context, input);
  try {
    return await work(createApiClient(places));
  } catch (error) {
    if (codeOf(error) === undefined || !(error instanceof Error && 'syscall' in error)) throw error;
    const where = places.map((place) => ('unix' in place ? place.unix : `${place.host}:${place.port}`)).join(', ');
    const remedy = 'see that the server runs there; `countersign login --server HOST:PORT` leads to one elsewhere';
    throw Object.assign(new Error(`${where} is not reached: ${messageOf(error)}; ${remedy}`, { cause: error }), {
      code: codeOf(error),
      syscall: 'connect',
    });
  }
}

/** Addresses of one or more servers. */
export type ServerAddresses = readonly [ServerAddress, ...ServerAddress[]];
interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/** `host:port`, or several with commas between them. @throws UsageError */
export function parseServers(text: string): ServerAddresses {
  const [first, ...others] = parseAddresses(text).map(({ host, port }) => {
    if (host !== '' && port >= 1 && port <= 65_535) return { host, port };
    throw new UsageError(
      `--server ${text} is not host:port, as in countersign.corp.example:8443, or several with commas between them`,
    );
  });
  assert(first !== undefined, 'a text that is split is one part at least');
  return [first, ...others];
}

type ApiPlaces = readonly [ApiPlace, ...ApiPlace[]];

async function placesOf(context: CliContext, input: CliInput): Promise<ApiPlaces> {
  const socket = textOption(input, 'apiSocket');
  const server = textOption(input, 'server');
  const directory = textOption(input, 'identity');
  if (socket !== undefined) return [{ unix: socket }];
  if (directory !== undefined) {
    if (server === undefined) throw new UsageError('--identity needs --server, host:port of REST');
    const identity = identityIn(directory);
    const [first, ...others] = parseServers(server);
    return [{ ...first, ...identity }, ...others.map((other) => ({ ...other, ...identity }))];
  }
  const login = await readLogin(context);
  if (login !== undefined && (server === undefined || isWithin(server, login.server)))
    return loginPlaces(context, login, server);
  if (server !== undefined)
    throw new UsageError(
      `nobody is logged in at ${server}: \`countersign login --server ${server}\`, or give --identity`,
    );
  const configured = settingsIfAny(context)?.server?.socket ?? '/run/countersign/server/server.sock';
  return [{ unix: apiSocketOf(configured) }];
}

/** Whether all those servers are among them: a token is shown to none that it was not got for. */
function isWithin(servers: string, known: string): boolean {
  const all = new Set(known.split(',').map((one) => one.trim()));
  return servers.split(',').every((one) => all.has(one.trim()));
}

/** Where a login is good, all of it or those that are named. @throws UsageError where it is over */
export function loginPlaces(
  { clock }: Pick<CliContext, 'clock'>,
  { server, ca, token, endsMs }: Login,
  named = server,
): ApiPlaces {
  const [first, ...others] = parseServers(named);
  const placeAt = (address: ServerAddress): ApiPlace => ({ ...address, bundle: ca, token: () => token });
  if (clock.now() < endsMs) return [placeAt(first), ...others.map(placeAt)];
  throw new UsageError(`the login at ${server} is over; \`countersign login --server ${server}\` again`);
}

/** @throws UsageError */
function identityIn(directory: string) {
  try {
    const read = (file: string) => readFileSync(join(directory, file), 'utf8');
    const [leaf] = decodeCertificatesPem(read('svid.pem'));
    const own = parseCertificate(leaf ?? Buffer.alloc(0)).names.uris[0] ?? '';
    return {
      bundle: read('bundle.pem'),
      server: `${own.split('/').slice(0, 3).join('/')}/spire/server`,
      svid: () => ({ certificate: read('svid.pem'), key: read('key.pem') }),
    };
  } catch (cause) {
    throw new UsageError(`the identity in ${directory} can not be read: ${messageOf(cause)}`, { cause });
  }
}
