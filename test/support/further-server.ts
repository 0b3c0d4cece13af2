/** One more server beside that of a stack: the same store, its own folder, authority, ledger and ports. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { parse, stringify } from 'yaml';
import { freePorts } from './processes.ts';
import { createRoleAt, EXECUTABLE, type Stack, type StackRole } from './stack.ts';

export interface FurtherServer {
  readonly role: StackRole;
  /** Its configuration, for commands that are to ask it. */
  readonly config: string;
  readonly dataDir: string;
  /** For operators: gRPC, and REST. */
  readonly socket: string;
  readonly apiSocket: string;
}

/** Makes it; it is yet to be started, and ended before the stack is. `listen`: where it is reached, when that was told before. */
export async function createFurtherServer(
  stack: Stack,
  options: { name: string; listen?: string; env?: Readonly<Record<string, string>> },
): Promise<FurtherServer> {
  const { name, env = {} } = options;
  const { folder, users } = stack;
  const [port, api, httpPort] = await freePorts(3);
  const first = parse(fs.readFileSync(folder.config, 'utf8'));
  const home = folder.privateFolder(name, users.server);
  const own = {
    ...{ serverId: name, dataDir: path.join(home, 'data'), socket: path.join(home, 'server.sock') },
    ...{ listen: options.listen ?? `127.0.0.1:${port}`, http: `127.0.0.1:${httpPort}` },
    api: { ...first.server.api, listen: `127.0.0.1:${api}` },
  };
  const config = path.join(folder.path, `${name}.yaml`);
  fs.writeFileSync(config, stringify({ ...first, server: { ...first.server, ...own } }), { mode: 0o644 });
  const role = createRoleAt(own.http, {
    ...{ name, file: process.execPath, args: [EXECUTABLE, 'server', '--config', config] },
    ...{ user: users.server, env },
    ...{ logFile: path.join(folder.path, 'logs', `${name}.log`), pidFile: path.join(folder.pids, name) },
  });
  return { role, config, dataDir: own.dataDir, socket: own.socket, apiSocket: path.join(home, 'api.sock') };
}
