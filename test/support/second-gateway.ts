/** One more gateway beside that of a stack: its own folder, ledger, secret and ports; the same server, agent and targets. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { parse, stringify } from 'yaml';
import { freePorts } from './processes.ts';
import { createRoleAt, EXECUTABLE, type Stack, type StackRole } from './stack.ts';

/** Makes it; it is yet to be started. `executable`: that of another version. Its log and data are searched for secrets as the first one's are. */
export async function createSecondGateway(
  stack: Stack,
  options: { name?: string; executable?: string; settings?: Readonly<Record<string, unknown>> } = {},
): Promise<StackRole> {
  const { name = 'gateway-2', executable = EXECUTABLE } = options;
  const { folder, users } = stack;
  const [port, httpPort] = await freePorts(2);
  const config = path.join(folder.path, `${name}.yaml`);
  const dataDir = folder.privateFolder(name, users.gateway);
  const http = `127.0.0.1:${httpPort}`;
  const first = parse(fs.readFileSync(folder.config, 'utf8'));
  const own = { name, dataDir, http, listen: `127.0.0.1:${port}`, ...options.settings };
  fs.writeFileSync(config, stringify({ ...first, gateway: { ...first.gateway, ...own } }), { mode: 0o644 });
  const put = await stack.cli(['target', 'secret', 'shop-password', '--config', config], {
    user: users.gateway,
    stdin: `${stack.secrets.target}\n`,
  });
  if (put.code !== 0) throw new Error(`target secret ended with ${put.code}:\n${put.stderr}`);
  return createRoleAt(http, {
    // As the first one's, which its entry may name.
    file: users.separate ? process.execPath : path.join(folder.path, 'gateway-node'),
    ...{ name, args: [executable, 'gateway', '--config', config], user: users.gateway, env: {} },
    ...{ logFile: path.join(folder.path, 'logs', `${name}.log`), pidFile: path.join(folder.pids, name) },
  });
}
