import { createGatewayApp } from '../../app/gateway.ts';
import { createGatewaySupervisor } from '../../app/workers/supervisor.ts';
import { createGatewayWorker, openParent, type ParentChannel } from '../../app/workers/worker.ts';
import { startWorker } from '../../app/workers/worker-process.ts';
import { createLog } from '../../std/index.ts';
import type { CliCommand, CliContext } from '../command.ts';
import { loadConfig, requireSection } from '../load-config.ts';
import { runRole } from '../processes/run-role.ts';

export const command: CliCommand = {
  summary: 'Run a gateway in the data path: decides, masks and records each command.',
  examples: ['countersign gateway --config /etc/countersign/countersign.yaml'],
  waits: () => true,
  async run(context) {
    const parent = openParent(context.env);
    if (parent !== undefined) return runWorker(context, parent);
    const all = loadConfig(context);
    const config = requireSection(context, all, 'gateway');
    const log = createLog({ level: all.log.level });
    const { env, clock, random } = context;
    const deps = { ...{ config, env, clock, random, log }, trustDomain: all.trustDomain };
    const role =
      config.workers === 1
        ? await createGatewayApp(deps)
        : createGatewaySupervisor({ ...deps, logLevel: all.log.level, startWorker });
    return runRole(context, role, () =>
      context.emit({ role: 'gateway', state: 'running' }, () => 'gateway is running; Ctrl-C stops it'),
    );
  },
};

/** This process is one of several that are one gateway: which, it hears from the one that has started it. */
async function runWorker(context: CliContext, parent: ParentChannel): Promise<number> {
  const { env, clock, random, signal } = context;
  const stop = () => {
    // Whoever stops all processes of a service has done so already.
    if (!signal.aborted) process.kill(process.pid, 'SIGTERM');
  };
  try {
    return await runRole(context, await createGatewayWorker(parent, { env, clock, random, stop }), () => {});
  } finally {
    parent.close();
  }
}
