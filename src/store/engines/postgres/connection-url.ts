import { isIP } from 'node:net';
import type { ClientConfig } from 'pg';
import { messageOf, Secret } from '../../../std/index.ts';
import { StoreError } from '../../errors.ts';
import type { GivenFiles, ReadSecretFile } from '../../store.ts';

/** Where the database is and how to log in, from a connection URL. */
export interface ConnectionTarget {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: Secret | undefined;
  readonly database: string;
  /** False = no TLS. */
  readonly tls: Exclude<ClientConfig['ssl'], boolean | undefined> | false;
}

/**
 * The text behind `env:NAME` or `file:PATH` (without its last newline).
 * @throws StoreError ERR_STORE_CONFIG; the message names the reference, never the value
 */
export function resolveReference(reference: string, readSecretFile: ReadSecretFile): Secret {
  if (reference.startsWith('env:')) {
    const value = process.env[reference.slice('env:'.length)];
    if (value !== undefined && value !== '') return Secret.fromText(value);
    throw new StoreError('ERR_STORE_CONFIG', `the environment holds no variable ${reference.slice('env:'.length)}`);
  }
  if (reference.startsWith('file:')) {
    return readSecret('the database URL', reference.slice('file:'.length), readSecretFile);
  }
  // What stands here may be the URL itself, with its password: it must not be repeated.
  throw new StoreError('ERR_STORE_CONFIG', 'the database URL must be a reference: env:NAME or file:PATH');
}

/**
 * Parses `postgres://user:password@host:port/database?sslmode=…`. Of the query, `host` (a socket folder), `port`, `user`, `sslmode`, `sslrootcert`,
 * `sslcert` and `sslkey` (PEM files) are known; anything else is refused. Without `sslmode`, TCP means `verify-full`.
 * @throws StoreError ERR_STORE_CONFIG; the message never repeats the URL
 */
export function parseConnectionUrl(secret: Secret, files: GivenFiles): ConnectionTarget {
  const url = parseUrl(secret.revealText());
  const query = url.searchParams;
  for (const key of query.keys()) {
    if (!QUERY_KEYS.has(key)) throw invalid(`its query holds an unknown key; known are ${[...QUERY_KEYS].join(', ')}`);
    if (query.getAll(key).length > 1) throw invalid(`its query holds ${key} twice`);
  }
  const host = query.get('host') ?? decode(url.hostname).replace(/^\[(.*)\]$/, '$1');
  if (host === '') throw invalid('it names no host; for a unix socket add ?host=/folder');
  const user = query.get('user') ?? decode(url.username);
  if (user === '') throw invalid('it names no user');
  const database = decode(url.pathname.slice(1));
  const port = Number((query.get('port') ?? url.port) || PORT_DEFAULT);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw invalid('its port is not between 1 and 65535');
  return {
    host,
    port,
    user,
    password: url.password === '' ? undefined : Secret.fromText(decode(url.password)),
    database: database === '' ? user : database,
    tls: host.startsWith('/') ? false : parseTls(query, host, files),
  };
}

function parseTls(
  query: URLSearchParams,
  host: string,
  { readSecretFile, readTrustedFile }: GivenFiles,
): ConnectionTarget['tls'] {
  const mode = query.get('sslmode') ?? 'verify-full';
  const authorities = readPem(query, 'sslrootcert', readTrustedFile);
  const cert = readPem(query, 'sslcert', readTrustedFile);
  const keyFile = query.get('sslkey');
  const key = keyFile === null ? undefined : readSecret('sslkey', keyFile, readSecretFile).revealText();
  const base = {
    minVersion: 'TLSv1.2',
    ...(authorities === undefined ? {} : { ca: authorities }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    // An address has no place in the server name extension; its certificate is still checked against it.
    ...(isIP(host) === 0 ? { servername: host } : {}),
  } as const;
  switch (mode) {
    case 'disable':
      return false;
    case 'require':
      // As in libpq: encrypted only, unless an authority is given to check against.
      return authorities === undefined
        ? { ...base, rejectUnauthorized: false }
        : { ...base, rejectUnauthorized: true, checkServerIdentity: () => undefined };
    case 'verify-ca':
      return { ...base, rejectUnauthorized: true, checkServerIdentity: () => undefined };
    case 'verify-full':
      return { ...base, rejectUnauthorized: true };
    default:
      // `allow` and `prefer` fall back to plain text when an attacker says no to TLS.
      throw invalid('its sslmode is none of disable, require, verify-ca, verify-full');
  }
}

/** Who can change it decides which database this server believes. */
function readPem(
  query: URLSearchParams,
  key: string,
  readTrustedFile: GivenFiles['readTrustedFile'],
): string | undefined {
  const file = query.get(key);
  if (file === null) return undefined;
  let pem: Buffer | undefined;
  try {
    pem = readTrustedFile(file);
  } catch (cause) {
    throw new StoreError('ERR_STORE_CONFIG', `${key} can not be read: ${messageOf(cause)}`, { cause });
  }
  if (pem) return pem.toString('utf8');
  throw new StoreError('ERR_STORE_CONFIG', `${key} can not be read: there is no ${file}`);
}

function readSecret(what: string, path: string, readSecretFile: ReadSecretFile): Secret {
  let secret: Secret | undefined;
  try {
    secret = readSecretFile(path);
  } catch (cause) {
    throw new StoreError('ERR_STORE_CONFIG', `${what} can not be read: ${messageOf(cause)}`, { cause });
  }
  if (secret) return secret;
  throw new StoreError('ERR_STORE_CONFIG', `${what} can not be read: ${path} is not there or empty`);
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && (url.protocol === 'postgres:' || url.protocol === 'postgresql:')) return url;
  throw invalid('it does not read postgres://user@host:port/database');
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('a % in it is not followed by two hexadecimal digits'); // The cause would repeat a part of it.
  }
}

function invalid(why: string): StoreError {
  return new StoreError('ERR_STORE_CONFIG', `the database URL can not be used: ${why}`);
}

const QUERY_KEYS: ReadonlySet<string> = new Set([
  'host',
  'port',
  'user',
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
]);
const PORT_DEFAULT = 5432;
