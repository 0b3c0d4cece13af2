import { createAgentApp } from '../../app/agent.ts';
import { createLog } from '../../std/index.ts';
import type { CliCommand } from '../command.ts';
import { loadConfig, requireSection } from '../load-config.ts';
import { runRole } from '../run-role.ts';

export const command: CliCommand = {
  summary: 'Run the agent of this node: attests processes, hands out identities, offers target sockets.',
  examples: ['countersign agent --config /etc/countersign/countersign.yaml'],
  waits: () => true,
  async run(context) {
    const config = loadConfig(context);
    const log = createLog({ level: config.log.level });
    const role = createAgentApp({
      trustDomain: config.trustDomain,
      config: requireSection(context, config, 'agent'),
      env: context.env,
      clock: context.clock,
      random: context.random,
      log,
    });
    return runRole(context, role, () =>
      context.emit({ role: 'agent', state: 'running' }, () => 'agent is running; Ctrl-C stops it'),
    );
  },
};
