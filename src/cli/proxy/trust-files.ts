import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates } from 'node:tls';
import { type Clock, codeOf, type Timer } from '../../std/index.ts';
import { decodePem, encodePem, encodeTrustStore } from '../../wire/x509/index.ts';
import { UsageError } from '../command.ts';

/** Files by which a command's clients trust one root more. They hold certificates, and no key. */
export interface TrustFiles {
  readonly variables: Readonly<Record<string, string>>;
  /** For Java, with the roots of the system. */
  readonly trustStore: string;
  /** Removes them. */
  close(): void;
}

/**
 * Writes them into a folder of this user's own. What a variable named before is the base of what it names now. Where that can't be, it stays as it is, and
 * `warn` says so.
 */
export function openTrustFiles(deps: {
  readonly rootDer: Buffer;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  warn(line: string): void;
}): TrustFiles {
  const { env, warn } = deps;
  const folder = makeFolder();
  const root = encodePem('CERTIFICATE', deps.rootDer);
  const system = systemRoots();
  const written = new Map<string, string>();
  const write = (name: string, bytes: string | Buffer) => {
    const file = join(folder, name);
    writeFileSync(file, bytes, { mode: 0o600, flag: 'wx' });
    return file;
  };
  /** The file of a base with our root behind it; undefined: the base can't be read. */
  const withRoot = (base: string | undefined, empty: string, kind: string): string | undefined => {
    const known = written.get(`${kind} ${base ?? ''}`);
    if (known !== undefined) return known;
    const text = base === undefined ? empty : readBase(base);
    if (text === undefined) return undefined;
    const file = write(
      `${kind}-${written.size}.pem`,
      `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${root}`,
    );
    written.set(`${kind} ${base ?? ''}`, file);
    return file;
  };
  try {
    const variables: Record<string, string> = {};
    const take = (name: string, kind: 'all' | 'extra') => {
      const own = filled(env[name]);
      const base = own ?? (kind === 'all' ? filled(env['SSL_CERT_FILE']) : undefined);
      const file = withRoot(base, kind === 'all' ? system.join('\n') : '', kind);
      if (file !== undefined) variables[name] = file;
      else if (own !== undefined)
        warn(
          `countersign: ${name} stays as it is, since it names no file that can be read: clients that go by it will not trust the targets' hosts`,
        );
      else warn(`countersign: ${name} is not set, since SSL_CERT_FILE names no file that can be read`);
    };
    for (const name of WHOLE) take(name, 'all');
    for (const name of EXTRA) take(name, 'extra');
    const ders = [root, ...system].flatMap((pem) => decodePem(pem).map(({ der }) => der));
    const trustStore = write('roots.p12', encodeTrustStore(ders));
    const fresh = keepFresh([folder, ...readdirSync(folder).map((name) => join(folder, name))], deps.clock);
    return {
      ...{ variables, trustStore },
      close() {
        fresh.cancel();
        remove(folder);
      },
    };
  } catch (error) {
    remove(folder);
    throw error;
  }
}

/** Of this user's own: 0700. */
function makeFolder(): string {
  try {
    return mkdtempSync(join(tmpdir(), 'countersign-run-'));
  } catch (cause) {
    throw new UsageError(
      `the certificates for the command need a folder, and ${tmpdir()} takes none (${codeOf(cause)}); set TMPDIR to a folder that does`,
      { cause },
    );
  }
}

/** Systems remove what nobody has touched for days, and a command may be a service. */
function keepFresh(paths: readonly string[], clock: Clock): Timer {
  let timer = clock.after(TOUCH_EVERY_MS, touch);
  function touch() {
    const nowS = clock.now() / 1_000;
    for (const path of paths) {
      try {
        utimesSync(path, nowS, nowS);
      } catch {
        // Somebody has removed it: that can't be mended for clients that know its name.
      }
    }
    timer = clock.after(TOUCH_EVERY_MS, touch);
  }
  return { cancel: () => timer.cancel() };
}

function systemRoots(): readonly string[] {
  const found = getCACertificates('system');
  return found.length > 0 ? found : getCACertificates('bundled'); // A container may have none of its own.
}

function readBase(file: string): string | undefined {
  try {
    const stat = statSync(file);
    // A pipe would be waited for, and be empty then for its reader; no roots at all may be what is wanted.
    if (!(stat.isFile() || file === '/dev/null') || stat.size > BASE_BYTES_MAX) return undefined;
    return readFileSync(file, 'latin1');
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return undefined;
  }
}

function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

function filled(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

/** All roots that a client has. */
const WHOLE = [
  ...['SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'AWS_CA_BUNDLE', 'GIT_SSL_CAINFO', 'PIP_CERT'],
  ...['CARGO_HTTP_CAINFO', 'GRPC_DEFAULT_SSL_ROOTS_FILE_PATH', 'NIX_SSL_CERT_FILE'],
];
/** Roots beside those that a client brings. */
const EXTRA = ['NODE_EXTRA_CA_CERTS', 'DENO_CERT'];
const TOUCH_EVERY_MS = 12 * 3_600_000;
const BASE_BYTES_MAX = 16 * 1024 * 1024;
