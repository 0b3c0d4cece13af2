import { createServerApp } from '../../app/server.ts';
import { createLog } from '../../std/index.ts';
import { type CliCommand, flagOption } from '../command.ts';
import { loadConfig, requireSection } from '../load-config.ts';
import { runRole } from '../processes/run-role.ts';

export const command: CliCommand = {
  summary: 'Run the control plane: identities, entries, targets, policies.',
  options: [
    [
      '--accept-loss',
      'go on though the keystore or the store has lost the authority: makes a new one, of which each agent must be told',
    ],
  ],
  examples: ['countersign server --config /etc/countersign/countersign.yaml'],
  waits: () => true,
  async run(context, input) {
    const config = loadConfig(context);
    const log = createLog({ level: config.log.level });
    const role = await createServerApp({
      trustDomain: config.trustDomain,
      config: requireSection(context, config, 'server'),
      env: context.env,
      clock: context.clock,
      random: context.random,
      log,
      acceptLoss: flagOption(input, 'acceptLoss'),
    });
    return runRole(context, role, () =>
      context.emit({ role: 'server', state: 'running' }, () => 'server is running; Ctrl-C stops it'),
    );
  },
};
