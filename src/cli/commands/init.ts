import { existsSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseTrustDomain } from '@countersign/sdk/identity';
import { makeFolders } from '../../private-files/index.ts';
import { messageOf } from '../../std/index.ts';
import { type CliCommand, exitCodes, textOption, UsageError } from '../command.ts';
import { shellWord } from '../terminal/shell-word.ts';

export const command: CliCommand = {
  summary: 'Write a configuration file to begin with.',
  options: [
    ['--trust-domain <name>', 'first part of every identity', 'example.org'],
    ['--dir <dir>', 'put sockets and data below this folder instead of /run and /var/lib'],
    ['--roles <list>', 'which sections to write, comma-separated', 'server,agent,gateway'],
  ],
  examples: [
    'countersign init --trust-domain corp.example',
    'countersign init --dir ./cs --config ./cs/countersign.yaml',
  ],
  async run(context, input) {
    const trustDomain = parseTrustDomain(textOption(input, 'trustDomain') ?? '');
    const roles = (textOption(input, 'roles') ?? '').split(',');
    for (const role of roles)
      if (!['server', 'agent', 'gateway'].includes(role))
        throw new UsageError(`${role} is no role; roles are server, agent, gateway`);
    const path = resolve(context.configPath);
    const directory = textOption(input, 'dir');
    // It would end the comment that the path stands in.
    if (/[\r\n]/.test(`${path}${directory ?? ''}`)) throw new UsageError('a path has a line break in it; name another');
    if (existsSync(path)) throw new UsageError(`${path} exists already; name another file with --config`);
    const command = context.configNamed ? `countersign --config ${shellWord(path)}` : 'countersign';
    write(path, configText({ trustDomain, roles, directory, command }));
    const signIn = `${command} sign-in link`;
    const next = roles.includes('server') ? `\nonce the server runs, a browser is signed in by: ${signIn}` : '';
    context.emit({ path, ...(next === '' ? {} : { signIn }) }, () => `wrote ${path}${next}`);
    return exitCodes.ok;
  },
};

/** @throws UsageError */
function write(path: string, text: string): void {
  try {
    makeFolders(dirname(path), 0o755); // Whatever the umask: no role reads what others may change.
    writeFileSync(path, text, { flag: 'wx', mode: 0o644 });
  } catch (cause) {
    throw new UsageError(`${path} can not be written: ${messageOf(cause)}`, { cause });
  }
}

function configText(options: {
  trustDomain: string;
  roles: readonly string[];
  directory: string | undefined;
  /** How the command line is called so that it reads the file. */
  command: string;
}): string {
  const { trustDomain, roles, directory } = options;
  const at = (folder: string, file: string) => yamlText(join(folder, file));
  const run = directory ? join(resolve(directory), 'run') : '/run/countersign';
  const data = directory ? join(resolve(directory), 'data') : '/var/lib/countersign';
  const sections: Readonly<Record<string, string>> = {
    server: `server:\n  listen: 127.0.0.1:8081\n  socket: ${at(run, 'server/server.sock')}\n  dataDir: ${at(data, 'server')}\n  http: 127.0.0.1:8090\n  api: { listen: 127.0.0.1:8443, dnsName: countersign.localhost }\n  store: { sqlite: {} }\n  keystore: { disk: {} }\n  attestors: { join-token: {} }\n`,
    agent: `agent:\n  server: 127.0.0.1:8081\n  insecureBootstrap: true # or trustBundle: FILE, the server's CA certificates\n${tokenComment(options, `${data}/join-token`)}  joinToken: ${at(`file:${data}`, 'join-token')}\n  socket: ${at(run, 'agent/agent.sock')}\n  targetsDir: ${at(run, 'agent/targets')}\n  dataDir: ${at(data, 'agent')}\n  http: 127.0.0.1:8091\n`,
    gateway: `gateway:\n  server: 127.0.0.1:8081\n  workloadApi: ${at(run, 'agent/agent.sock')}\n  listen: 127.0.0.1:7443\n  dataDir: ${at(data, 'gateway')}\n  http: 127.0.0.1:8092\n`,
  };
  return `# Countersign. Every key: docs/reference/config.md\ntrustDomain: ${trustDomain}\n\n${roles.map((role) => sections[role] ?? '').join('\n')}`;
}

/** The text as a value of YAML: as it is, or as JSON, which is YAML, where more could be read into it. */
function yamlText(text: string): string {
  return /^[\w./:-]+$/.test(text) ? text : JSON.stringify(text);
}

/**
 * How the file of the join token is made. The alias is what entries with that parent hang under; below a folder of one's own everything
 * runs as one user, and below /var/lib as the user of each role.
 */
function tokenComment(
  options: { trustDomain: string; directory: string | undefined; command: string },
  file: string,
): string {
  const alias = `spiffe://${options.trustDomain}/node/first`;
  const token = `${options.command} node token --agent-id ${alias}`;
  const [user, make] =
    options.directory === undefined
      ? [
          'here countersign-agent',
          `sudo ${token} | sudo install -o countersign-agent -m 0600 /dev/stdin ${shellWord(file)}`,
        ]
      : ['who runs this', `(umask 077 && ${token} > ${shellWord(file)})`];
  return [
    `# Made once the server runs; good once, for ten minutes. The file is the agent's user's, ${user}, and nobody else reads it:`,
    `#   ${make}`,
    `# ${alias} is then this node, for entries with that parentId: a gateway's entry must have one.`,
  ]
    .map((line) => `  ${line}\n`)
    .join('');
}
