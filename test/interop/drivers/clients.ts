/** The drivers: how each client is built, and what can't be asked of it. */
import * as path from 'node:path';
import { go } from '../go-toolchain.ts';
import { compileJava, installProject, maven, python, pythonOf } from '../project.ts';
import { commandIn, runTool } from '../toolchain.ts';
import type { StepName } from './steps.ts';

type Command = readonly [string, ...string[]];

export interface DriverClient {
  readonly name: string;
  /** What building it needs; undefined when the machine lacks it. */
  readonly tool: string | undefined;
  /** Resolves to the command line that runs it. */
  build(): Promise<Command>;
  /** False: the driver knows no Unix sockets. */
  readonly sockets: boolean;
  /** True: the driver can begin with TLS at once, as libpq's `sslnegotiation=direct`. */
  readonly directTls: boolean;
  /** Steps that can't be asked of the driver, and why. */
  readonly without: Readonly<Partial<Record<StepName, string>>>;
  /** As `without`, by TLS only. */
  readonly withoutByTls: Readonly<Partial<Record<StepName, string>>>;
  /** Lines of steps that the driver shows in another way. */
  readonly instead: Readonly<Partial<Record<StepName, readonly string[]>>>;
}

const NO_COPY = 'has no COPY of its own';
const PLAIN_CANCEL = 'asks for a cancellation in plain text even when its session is by TLS: nothing proves who asks';
const TEXT_ONLY = 'asks for results as text only';
const BINARY_ONLY = 'reads results in binary format only';

export const CLIENTS: readonly DriverClient[] = [
  {
    name: 'node-postgres',
    tool: process.execPath,
    build: async () => [process.execPath, source('node/pg.ts')],
    ...{ sockets: true, directTls: true },
    without: { 'copy-in': NO_COPY, 'copy-out': NO_COPY },
    withoutByTls: { cancel: PLAIN_CANCEL },
    instead: {},
  },
  {
    name: 'postgres.js',
    tool: process.execPath,
    build: async () => [process.execPath, source('node/postgres-js.ts')],
    ...{ sockets: true, directTls: true },
    without: { 'types-binary': TEXT_ONLY },
    withoutByTls: {},
    // It tells nobody of an error that comes after the last line.
    instead: { 'copy-in': ['10000|50005000'] },
  },
  {
    name: 'psycopg',
    tool: python,
    build: () => pythonClient('psycopg_client.py'),
    ...{ sockets: true, directTls: true, without: {}, withoutByTls: {} },
    // One Sync for the whole pipeline: the third statement is skipped, and one after it is not.
    instead: { pipeline: ['23505', '1', 'aborted', '3'] },
  },
  {
    name: 'asyncpg',
    tool: python,
    build: () => pythonClient('asyncpg_client.py'),
    ...{ sockets: true, directTls: true },
    without: { 'types-text': BINARY_ONLY, pipeline: 'runs one statement at a time on a connection' },
    withoutByTls: {},
    instead: { simple: ['SELECT 3'] },
  },
  {
    name: 'pgjdbc',
    tool: maven,
    build: buildJava,
    ...{ sockets: false, directTls: true, without: {} },
    withoutByTls: { cancel: PLAIN_CANCEL },
    instead: { pipeline: ['23505', '0'] },
  },
  {
    name: 'pgx',
    tool: go,
    build: buildGo,
    ...{ sockets: true, directTls: true, without: {}, withoutByTls: {} },
    instead: { pipeline: ['1', '23505', '23505', '3'] },
  },
  {
    name: 'tokio-postgres',
    tool: commandIn([path.join(process.env['HOME'] ?? '/root', '.cargo/bin')], 'cargo'),
    build: buildRust,
    ...{ sockets: true, directTls: true, without: {}, withoutByTls: {}, instead: {} },
  },
];

async function pythonClient(file: string): Promise<Command> {
  await installProject(source('python'));
  return [pythonOf(source('python')), '-B', source(`python/${file}`)];
}

async function buildJava(): Promise<Command> {
  const [java, ...args] = await compileJava(source('java'));
  return [java, `-Djdk.net.hosts.file=${source('java/hosts')}`, ...args, 'Driver'];
}

async function buildGo(): Promise<Command> {
  if (go === undefined) throw new Error('there is no go command: install Go 1.25 or later');
  const program = source('go/target/driver');
  await runTool(go, ['-C', source('go'), 'build', '-buildvcs=false', '-o', program, '.']);
  return [program];
}

async function buildRust(): Promise<Command> {
  const cargo = commandIn([path.join(process.env['HOME'] ?? '/root', '.cargo/bin')], 'cargo');
  if (cargo === undefined) throw new Error('there is no cargo: install Rust 1.85 or later');
  await runTool(cargo, ['build', '--quiet', '--locked', '--manifest-path', source('rust/Cargo.toml')]);
  return [source('rust/target/debug/drivers')];
}

function source(name: string): string {
  return path.join(import.meta.dirname, name);
}
