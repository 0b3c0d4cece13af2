/**
 * A reader who follows a guide by the letter: a running stack with PostgreSQL, the commands of the guide in their order, its paths, users and
 * addresses put in place of the test's own.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { type Finished, run, type User } from '../support/processes.ts';
import { psqlBinary } from '../support/psql.ts';
import { EXECUTABLE, GATEWAY_NAME, type Stack, startStack } from '../support/stack.ts';
import { type Block, ROOT } from './markdown.ts';

export interface Reader extends AsyncDisposable {
  readonly stack: Stack;
  /** Where commands are run. */
  readonly work: string;
  /** Their environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Text of a guide with this machine's paths, users and addresses. */
  asHere(text: string): string;
  /** Puts a program into the PATH of commands: a script of bash. */
  program(name: string, script: string): void;
  /** Runs one `sh` block, stopping at the first command that fails. */
  shell(block: Pick<Block, 'text'>): Promise<Finished>;
  /** Runs one `sql` block: through the gateway as the web service, or, with the info string `dba`, on the database itself. */
  sql(block: Block): Promise<Finished>;
}

/** Starts the stack that readers of the guides are given. */
export async function createReader(): Promise<Reader> {
  // No policy but the reader's own, and only the gateway's entry.
  const stack = await startStack({ policies: { none: NO_POLICY } });
  const folder = path.join(stack.folder.path, 'reader');
  try {
    prepare(stack, folder);
    for (const id of ['web', 'web-tests', 'web-psql', 'batch']) await stack.cli(['entry', 'delete', id]);
  } catch (error) {
    await stack.stop();
    throw error;
  }
  const env = {
    PATH: `${path.join(folder, 'bin')}:${process.env['PATH'] ?? ''}`,
    COUNTERSIGN_CONFIG: stack.folder.config,
    HOME: folder,
    NODE_COMPILE_CACHE: path.join(folder, 'cache'),
  };
  const work = path.join(folder, 'work');
  return {
    ...{ stack, work, env },
    asHere: (text) => asHere(stack, folder, text),
    program: (name, script) => addProgram(folder, name, script),
    async shell(block) {
      const script = `set -euo pipefail\ncd ${work}\n${asHere(stack, folder, block.text)}`;
      const finished = await run('bash', ['-c', script], { env });
      fillIn(stack, work);
      return finished;
    },
    async sql(block) {
      if (block.info !== 'dba') return stack.psql(block.text);
      await stack.dba(block.text);
      return { code: 0, stdout: '', stderr: '' };
    },
    [Symbol.asyncDispose]: () => stack.stop(),
  };
}

/** Folders, and programs under the names that the guides use. */
function prepare(stack: Stack, folder: string): void {
  for (const name of ['bin', 'work', 'etc', 'cache']) fs.mkdirSync(path.join(folder, name), { recursive: true });
  fs.chmodSync(path.join(folder, 'cache'), 0o1777);
  fs.chmodSync(path.join(folder, 'work'), 0o755);
  const program = (name: string, script: string) => addProgram(folder, name, script);
  program('countersign', `exec '${process.execPath}' '${EXECUTABLE}' "$@"`);
  if (psqlBinary() !== undefined) program('psql', `exec '${psqlBinary()}' -X "$@"`);
  // As root the users of the guide are users of the stack; else everything is one user's.
  const become = stack.users.separate ? 'setpriv --reuid "$user" --regid "$user" --clear-groups' : '';
  program('sudo', `if [ "$1" = -u ]; then user=$2; shift 2; exec ${become} "$@"; fi\nexec "$@"`);
  fs.writeFileSync(path.join(folder, 'work/password.txt'), stack.secrets.target, { mode: 0o600 });
}

function addProgram(folder: string, name: string, script: string): void {
  fs.writeFileSync(path.join(folder, 'bin', name), `#!/bin/bash\n${script}\n`, { mode: 0o755 });
}

/** A guide's text with this machine's paths, users and addresses. */
function asHere(stack: Stack, folder: string, text: string): string {
  const { data, http, workloadApi, targets, operatorSocket, apiSocket, api } = stack.folder;
  const users = usersOf(stack);
  const pairs: readonly (readonly [string | RegExp, string | ((found: string) => string)])[] = [
    ['/opt/countersign', ROOT],
    ['/etc/countersign', path.join(folder, 'etc')],
    ['/var/lib/countersign/gateway', data.gateway],
    ['/var/lib/countersign/server', data.server],
    ['/var/lib/countersign/agent', data.agent],
    ['/var/lib/countersign', path.join(folder, 'etc')],
    ['/run/countersign/agent/targets', targets],
    ['/run/countersign/agent/agent.sock', workloadApi],
    ['/run/countersign/server/server.sock', operatorSocket],
    ['/run/countersign/server/api.sock', apiSocket],
    ['countersign.corp.example:8443', api.replace('127.0.0.1', 'localhost')],
    ['/run/shop-web', path.join(folder, 'work')],
    ['/run/shop-migrations', path.join(folder, 'work/run-migrations')],
    ['127.0.0.1:8090', http.server],
    ['127.0.0.1:8091', http.agent],
    ['127.0.0.1:8092', http.gateway],
    ['host=gateway.example.org', `host=${GATEWAY_NAME}`],
    // Who can't be told a name and an address apart finds the gateway by a name that every machine knows.
    ['gateway.example.org', 'localhost'],
    [/\b6432\b/g, String(stack.folder.directPort)],
    [/(?<=unix:)user:(countersign|shop)-[a-z]+/g, (found) => `uid:${users[found.slice('user:'.length)]}`],
    [/(?<=(?:-u|-o|chown) )(countersign|shop)-[a-z]+/g, (name) => String(users[name] ?? name)],
  ];
  return pairs.reduce((before, [from, to]) => before.replaceAll(from, typeof to === 'string' ? () => to : to), text);
}

/** What a reader changes in the files of the example: the database's address, the gateway's name, the users. */
function fillIn(stack: Stack, work: string): void {
  const users = usersOf(stack);
  // Where all is one user's, the gateway is told from other programs by a Node of its own, as in every stack.
  const gatewayNode = stack.users.separate ? [] : [`unix:path:${path.join(stack.folder.path, 'gateway-node')}`];
  for (const name of fs.readdirSync(work, { recursive: true, encoding: 'utf8' })) {
    const file = path.join(work, name);
    if (!/\.ya?ml$/.test(name) || name.startsWith('examples/')) continue;
    const text = fs.readFileSync(file, 'utf8');
    const filled = text
      .replaceAll('host: db.example.org\n  port: 5432', `host: 127.0.0.1\n  port: ${stack.postgres.port}`)
      .replaceAll(
        'listen: { host: 127.0.0.1, port: 6432 }',
        `listen: { host: 127.0.0.1, port: ${stack.folder.directPort} }`,
      )
      // The gateway has its entry already: an entry must not be made twice.
      .replaceAll('name: countersign-gateway', 'name: gateway')
      .replaceAll('gateway.example.org', `${GATEWAY_NAME}, localhost`)
      .replaceAll(/"unix:user:([a-z-]+)"/g, (_, user: string) =>
        [`unix:uid:${users[user]}`, ...(user === 'countersign-gateway' ? gatewayNode : [])]
          .map((each) => JSON.stringify(each))
          .join(', '),
      );
    if (filled !== text) fs.writeFileSync(file, filled);
  }
}

/** User names of the guides → ids of the stack. */
function usersOf({ users }: Stack): Readonly<Record<string, number>> {
  const id = (user: User) => user ?? process.getuid?.() ?? 0;
  return {
    'countersign-server': id(users.server),
    'countersign-agent': id(users.agent),
    'countersign-gateway': id(users.gateway),
    'shop-web': id(users.web),
    // Where all is one user's, nobody is this one: two identities of one user would be told apart by nothing.
    'shop-reports': users.separate ? id(users.batch) : NOBODY,
    'shop-migrations': users.separate ? id(users.stranger) : NOBODY,
  };
}

const NOBODY = 4_000_000;
const NO_POLICY = '@id("nothing-yet") forbid(principal, action == Action::"postgres:admin", resource);';
