import { createGatewayApp } from '../../app/gateway.ts';
import { createLog } from '../../std/index.ts';
import type { CliCommand } from '../command.ts';
import { loadConfig, requireSection } from '../load-config.ts';
import { runRole } from '../processes/run-role.ts';

export const command: CliCommand = {
  summary: 'Run a gateway in the data path: decides, masks and records each command.',
  examples: ['countersign gateway --config /etc/countersign/countersign.yaml'],
  waits: () => true,
  async run(context) {
    const config = loadConfig(context);
    const log = createLog({ level: config.log.level });
    const role = await createGatewayApp({
      trustDomain: config.trustDomain,
      config: requireSection(context, config, 'gateway'),
      env: context.env,
      clock: context.clock,
      random: context.random,
      log,
    });
    return runRole(context, role, () =>
      context.emit({ role: 'gateway', state: 'running' }, () => 'gateway is running; Ctrl-C stops it'),
    );
  },
};
