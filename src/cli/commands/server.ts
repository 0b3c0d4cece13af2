import { createServerApp } from '../../app/server.ts';
import { createLog } from '../../std/index.ts';
import { type CliCommand, UsageError } from '../command.ts';
import { loadConfig } from '../load-config.ts';
import { runRole } from '../run-role.ts';

export const command: CliCommand = {
  summary: 'Run the control plane: identities, entries, targets, policies.',
  examples: ['countersign server --config /etc/countersign/countersign.yaml'],
  async run(context) {
    const config = loadConfig(context);
    if (!config.server)
      throw new UsageError(`${context.configPath} has no section server; add one, if only \`server: {}\``);
    const log = createLog({ level: config.log.level });
    const role = createServerApp({
      trustDomain: config.trustDomain,
      config: config.server,
      env: context.env,
      clock: context.clock,
      random: context.random,
      log,
    });
    return runRole(context, role, () =>
      context.emit({ role: 'server', state: 'running' }, () => 'server is running; Ctrl-C stops it'),
    );
  },
};
