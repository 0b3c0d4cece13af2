import { createAgentApp } from '../../app/agent.ts';
import { createLog } from '../../std/index.ts';
import { type CliCommand, UsageError } from '../command.ts';
import { loadConfig } from '../load-config.ts';
import { runRole } from '../run-role.ts';

export const command: CliCommand = {
  summary: 'Run the agent of this node: attests processes, hands out identities, offers target sockets.',
  examples: ['countersign agent --config /etc/countersign/countersign.yaml'],
  async run(context) {
    const config = loadConfig(context);
    if (!config.agent)
      throw new UsageError(`${context.configPath} has no section agent; add one, if only \`agent: {}\``);
    const log = createLog({ level: config.log.level });
    const role = createAgentApp({
      trustDomain: config.trustDomain,
      config: config.agent,
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
