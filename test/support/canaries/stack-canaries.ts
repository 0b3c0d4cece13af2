/**
 * The secrets of one stack, and a look at everything that it has when it ends: files, logs, ledgers, stores, metrics, and what the kernel
 * shows of its processes. What clients and commands got is looked at when they got it.
 */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { deriveKey } from '../../../src/app/role-keys.ts';
import { Secret } from '../../../src/std/index.ts';
import type { TestPostgres } from '../postgres.ts';
import type { Finished } from '../processes.ts';
import { ROLES, type RoleName, type StackFolder } from '../stack-folder.ts';
import { lookAtDumps, lookAtProcesses, lookBelow } from './places.ts';
import { type Canary, createWatch, describeLeaks, type Leak, type Watch } from './watch.ts';

export interface StackCanaries {
  /** Adds a secret of a test; where it may be beside. */
  add(canary: Canary, options?: { known?: boolean }): void;
  /** Private keys and tokens may be in this file or folder: a client keeps its own there. */
  allowTraces(place: string): void;
  /** Looks at what a command was given and printed. */
  sawRun(args: readonly string[], env: Readonly<Record<string, string>>, finished: Finished): void;
  /** Looks at what a client was told. */
  saw(place: string, text: string | Uint8Array): void;
  /** Looks at arguments and environments of the stack's processes, as they are now. */
  sample(): void;
  /** Looks at everything that there is. The stack must still run, as far as it did. */
  lookAtAll(): Promise<StackReport>;
}

export interface StackReport {
  readonly values: number;
  readonly places: number;
  readonly bytes: number;
  readonly leaks: readonly Leak[];
  /** What could not be looked at, since it did not run or answer. */
  readonly unreached: readonly string[];
}

interface Parts {
  readonly folder: StackFolder;
  readonly postgres: TestPostgres;
  readonly roles: Readonly<Record<RoleName, { readonly pid: number }>>;
}

/** Creates the watch over a stack; `CANARY_REGISTRY` names the file that collects the values of a whole run. */
export function createStackCanaries(parts: Parts): StackCanaries {
  const watch = createWatch({ registry: process.env['CANARY_REGISTRY'], traces: true });
  watch.allowTraces(PRINTED);
  const { folder, postgres, roles } = parts;
  const pids = () => [...ROLES.map((role) => roles[role].pid), postgres.pid];
  return {
    add: (canary, options) => watch.add(canary, options),
    allowTraces: (place) => watch.allowTraces(place),
    sawRun(args, env, { stdout, stderr }) {
      watch.look(`arguments of ${args[0]}`, args.join('\0'));
      watch.look(`environment of ${args[0]}`, Object.values(env).join('\0'));
      watch.look(`standard error of ${args.slice(0, 3).join(' ')}`, stderr);
      // A command may print a token or a key to who asked for it; a value of another's it may not.
      watch.look(`${PRINTED}/${args.slice(0, 3).join(' ')}`, stdout);
    },
    saw: (place, text) => watch.look(place, text),
    sample: () => lookAtProcesses(watch, pids()),
    async lookAtAll() {
      addKeyFiles(watch, folder.data);
      lookAtProcesses(watch, pids());
      const unreached = [...(await lookAtHttp(watch, parts)), ...(await lookAtStore(watch, postgres))];
      // The roles' ledgers, stores, states and logs all lie here.
      lookBelow(watch, folder.path, (file) => isNode(file));
      if (!folder.data.gateway.startsWith(`${folder.path}/`)) lookBelow(watch, folder.data.gateway);
      lookBelow(watch, postgres.dataDir);
      watch.look(`${postgres.dataDir}/log`, postgres.logs());
      lookAtDumps(watch, '/');
      return { ...watch.report(), unreached };
    },
  };
}

/** A random value that can be looked for anywhere. */
export function canary(): string {
  return `canary-${randomBytes(9).toString('hex')}`;
}

/** Puts a random value for each `%MASKED%` of a seed; returns it too, and all words of the seed that call themselves a canary. */
export function seedCanaries(seed: string, masked: string): { seed: string; words: readonly string[] } {
  const filled = seed.replaceAll('%MASKED%', masked);
  return { seed: filled, words: [...new Set(filled.match(/[\w-]*canary-[\w-]{6,}/gi) ?? [])] };
}

/** @throws Error naming each leak, when there is one */
export function expectNoLeak({ leaks }: StackReport): void {
  if (leaks.length > 0) throw new Error(`secrets were found where they must not be:\n${describeLeaks(leaks)}`);
}

/** Keys that roles keep in files, and what is derived from them: each may be in its own file alone. */
export function addKeyFiles(watch: Watch, data: Readonly<Record<RoleName, string>>): void {
  for (const role of ROLES) {
    for (const file of keyFiles(data[role])) {
      const value = fs.readFileSync(file);
      if (value.length === 0) continue; // A role was killed before it had written it.
      const name = path.basename(file);
      // Looked for as bytes, which is in all forms: that of its own file is one of them.
      const isLine = LINE_KEY_FILES.includes(name);
      watch.add({ name: `${role}'s ${name}`, value: isLine ? bytesOf(value) : value, may: [file] });
      if (role === 'gateway' && name === 'seal.key')
        watch.add({ name: 'key of hash masks', value: deriveKey(new Secret(value), 'hash masks').reveal(), may: [] });
    }
  }
}

function keyFiles(data: string): string[] {
  if (!fs.existsSync(data)) return [];
  return fs
    .readdirSync(data, { recursive: true, encoding: 'utf8' })
    .filter((name) => [...KEY_FILES, ...LINE_KEY_FILES].includes(path.basename(name)))
    .map((name) => path.join(data, name));
}

function bytesOf(line: Buffer): Buffer {
  return Buffer.from(line.toString('latin1').trim(), 'base64url');
}

async function lookAtHttp(watch: Watch, { folder, roles }: Parts): Promise<string[]> {
  const asked = ROLES.filter((role) => roles[role].pid > 0).flatMap((role) =>
    ['metrics', 'ready', 'live', 'no-such-page'].map((page) => `http://${folder.http[role]}/${page}`),
  );
  const unreached: string[] = [];
  const look = async (url: string) => {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(HTTP_MS_MAX) });
      watch.look(url, JSON.stringify([...response.headers]) + (await response.text()));
    } catch {
      unreached.push(url); // A test may have left the role hanging or ending; whoever needs the page asks for the list.
    }
  };
  await Promise.all(asked.map(look));
  return unreached;
}

/** All rows of all tables of the store as text: in the files values may be compressed, or not yet written. */
async function lookAtStore(watch: Watch, postgres: TestPostgres): Promise<string[]> {
  if (postgres.pid === 0) return ['the store: PostgreSQL does not run'];
  const ask = (sql: string) => postgres.query(sql, [], 'control');
  const tables = await ask(`select format('%I.%I', schemaname, tablename) as name from pg_tables
    where schemaname not in ('pg_catalog', 'information_schema')`);
  for (const { name } of tables) {
    const rows = await ask(`select t::text as row from ${String(name)} t`);
    watch.look(`table ${String(name)} of the store`, rows.map(({ row }) => String(row)).join('\n'));
  }
  // What was left in memory comes to the files, which are looked at next.
  await postgres.query('checkpoint');
  return [];
}

/** A copy of Node is large, and not ours. */
function isNode(file: string): boolean {
  return path.basename(file) === 'gateway-node';
}

const PRINTED = 'printed';
const KEY_FILES = ['seal.key', 'data-key'];
/** Of one line of Base64url. */
const LINE_KEY_FILES = ['withheld.key', 'digest.key'];
const HTTP_MS_MAX = 2000;
