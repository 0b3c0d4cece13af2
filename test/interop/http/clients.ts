/** HTTP clients that nobody here wrote: how each is built, the ways it can take, and what can't be asked of it. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { GATEWAY_NAME } from '../../support/stack.ts';
import { go } from '../go-toolchain.ts';
import { compileJava, installProject, maven, python, pythonOf } from '../project.ts';
import { commandIn, runTool } from '../toolchain.ts';

export type Command = readonly [string, ...string[]];

export interface HttpClient {
  readonly name: string;
  /** What building it needs; undefined when the machine lacks it. */
  readonly tool: string | undefined;
  build(): Promise<Command>;
  /** False: it knows no Unix sockets. */
  readonly sockets: boolean;
  /** The host in its address by TLS; undefined: it can't be told whose name to expect at an address, or which certificate to show. */
  readonly tlsHost: string | undefined;
  /** Beyond the steps that all do. */
  readonly more: readonly string[];
}

/** What all of them do, in this order. */
export const STEPS = [
  ...['get', 'head', 'post', 'upload', 'chunked', 'download', 'gzip', 'redirect', 'moved', 'cookies', 'range'],
  ...['conditional', 'reuse', 'concurrent', 'cancel', 'timeout', 'cut', 'sse', 'failure'],
];
/** What only the gateway answers so. */
export const GATEWAY_STEPS = ['denied', 'masked'];

const node = (flavour: string) => async (): Promise<Command> => {
  await installProject(source('node'));
  return [process.execPath, source('node/client.mjs'), flavour];
};
const pythonWith = (library: string) => async (): Promise<Command> => {
  await installProject(source('python'));
  return [pythonOf(source('python')), '-B', source('python/client.py'), library];
};

export const CLIENTS: readonly HttpClient[] = [
  {
    ...{ name: 'curl', tool: commandIn([], 'curl'), sockets: true, tlsHost: GATEWAY_NAME, more: ['continue'] },
    build: async () => [process.execPath, source('curl.mjs')],
  },
  {
    ...{ name: 'Node’s fetch', tool: process.execPath, build: node('fetch'), more: ['websocket'] },
    ...{ sockets: false, tlsHost: undefined },
  },
  { name: 'undici', tool: process.execPath, build: node('undici'), sockets: true, tlsHost: '127.0.0.1', more: [] },
  { name: 'axios', tool: process.execPath, build: node('axios'), sockets: true, tlsHost: '127.0.0.1', more: [] },
  { name: 'requests', tool: python, build: pythonWith('requests'), sockets: false, tlsHost: '127.0.0.1', more: [] },
  { name: 'httpx', tool: python, build: pythonWith('httpx'), sockets: true, tlsHost: '127.0.0.1', more: [] },
  { name: 'Go’s net/http', tool: go, build: buildGo, sockets: true, tlsHost: '127.0.0.1', more: ['continue'] },
  {
    ...{ name: 'Java’s HttpClient', tool: maven, sockets: false, tlsHost: GATEWAY_NAME, more: ['continue'] },
    async build() {
      const [java, ...args] = await compileJava(source('java'));
      return [java, `-Djdk.net.hosts.file=${source('java/hosts')}`, ...args, 'HttpSteps'];
    },
  },
];

/** The program in `go/`: a client, and a server. */
export async function buildGo(): Promise<Command> {
  if (go === undefined) throw new Error('there is no go command: install Go 1.25 or later');
  const program = source('go/target/steps');
  await runTool(go, ['-C', source('go'), 'build', '-buildvcs=false', '-o', program, '.']);
  fs.chmodSync(program, 0o755);
  return [program];
}

function source(name: string): string {
  return path.join(import.meta.dirname, name);
}
