import { runningAgent } from '../../agent/index.ts';
import { createAgentApp } from '../../app/agent.ts';
import { createLog } from '../../std/index.ts';
import { type CliCommand, type CliContext, exitCodes, flagOption } from '../command.ts';
import { loadConfig, requireSection } from '../load-config.ts';
import { runRole } from '../processes/run-role.ts';
import { startDetached, succeedOnHangup } from '../processes/successor.ts';

export const command: CliCommand = {
  summary: 'Run the agent of this node: attests processes, hands out identities, offers target sockets.',
  options: [
    ['--replace', 'take over from an agent that runs on the same data folder, cutting nobody; without one, just start'],
    ['--detach', 'run in the background; ends once the agent serves, or with its exit code'],
  ],
  examples: [
    'countersign agent --config /etc/countersign/countersign.yaml',
    'countersign agent --replace --detach   # restart or upgrade the agent that runs',
  ],
  waits: (input) => !flagOption(input, 'detach'),
  async run(context, input) {
    const config = loadConfig(context);
    const section = requireSection(context, config, 'agent');
    if (flagOption(input, 'detach')) return detach(context, section.dataDir);
    const log = createLog({ level: config.log.level });
    const role = createAgentApp({
      trustDomain: config.trustDomain,
      config: section,
      env: context.env,
      clock: context.clock,
      random: context.random,
      log,
      replace: flagOption(input, 'replace'),
    });
    const release = succeedOnHangup({ log, isReplaced: role.isReplaced });
    try {
      return await runRole(context, role, () =>
        context.emit({ role: 'agent', state: 'running' }, () => 'agent is running; Ctrl-C stops it'),
      );
    } finally {
      release();
    }
  },
};

async function detach(context: CliContext, dataDir: string): Promise<number> {
  const { clock, signal } = context;
  const outcome = await startDetached({ clock, signal, serving: () => runningAgent(dataDir, clock) });
  if ('exitCode' in outcome) {
    context.warn(`countersign: the agent does not run in the background: ${outcome.how}`);
    return outcome.exitCode === 0 ? exitCodes.unavailable : outcome.exitCode;
  }
  const pid = outcome.serving;
  context.emit({ role: 'agent', state: 'running', pid }, () => `agent is running in the background (process ${pid})`);
  return exitCodes.ok;
}
