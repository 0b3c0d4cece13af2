import { createApiClient } from '@countersign/sdk/client';
import { createDevApp } from '../../app/dev.ts';
import { apiSocketOf } from '../../config/index.ts';
import { createLog } from '../../std/index.ts';
import { type CliCommand, flagOption, textOption } from '../command.ts';
import { runRole } from '../processes/run-role.ts';
import { shellWord } from '../terminal/shell-word.ts';
import { formatFields } from '../terminal/table.ts';

export const command: CliCommand = {
  summary: 'Run server, agent and gateway in one process, to try things out.',
  options: [
    ['--dir <dir>', 'where it keeps its files', '.countersign'],
    ['--trust-domain <name>', 'first part of every identity', 'example.org'],
    ['--verbose', 'also log what is ordinary'],
  ],
  examples: ['countersign dev', 'countersign dev --dir /tmp/cs'],
  waits: () => true,
  async run(context, input) {
    const log = createLog({ level: flagOption(input, 'verbose') ? 'info' : 'warn' });
    const role = createDevApp({
      directory: textOption(input, 'dir') ?? '.countersign',
      trustDomain: textOption(input, 'trustDomain') ?? 'example.org',
      env: context.env,
      clock: context.clock,
      random: context.random,
      log,
    });
    return runRole(context, role, async () => {
      const link = await signInLink(role.paths.serverSocket, context.signal);
      context.emit({ role: 'dev', state: 'running', ...role.paths, signInLink: link }, () =>
        [
          'Countersign is running in one process; Ctrl-C stops it.',
          '',
          formatFields(
            [
              ['configuration', role.paths.config],
              ['Workload API', `unix://${role.paths.workloadApi}`],
              ['target sockets', role.paths.targetsDir],
              ['sign in, once', link],
            ],
            context.columns,
          ),
          '',
          'In another terminal:',
          `  export COUNTERSIGN_CONFIG=${shellWord(role.paths.config)}`,
          '  countersign doctor',
          '  countersign apply -f DIR   # your targets, policies and entries',
        ].join('\n'),
      );
    });
  },
};

/** For whoever sees this terminal: it is good once, for a quarter of an hour, and written nowhere. */
async function signInLink(socket: string, signal: AbortSignal): Promise<string> {
  const api = createApiClient({ unix: apiSocketOf(socket) });
  const { url, secret } = (await api.call('sign-in-link.create', {}, { signal })).output;
  return url ?? secret;
}
