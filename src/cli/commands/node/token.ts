import { Agent } from '@countersign/sdk/contract';
import { parseDurationMs } from '../../../std/index.ts';
import { type CliCommand, exitCodes, textOption, UsageError } from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../../connections/server-options.ts';
import { idMessage } from '../../entries/entry-text.ts';
import { formatTimeS } from '../../terminal/table.ts';

export const command: CliCommand = {
  summary: 'Make a join token: the first agent that shows it becomes a node.',
  options: [
    ['--ttl <duration>', 'how long it may be used', '10m'],
    ['--agent-id <id>', 'an alias SPIFFE ID for the node, to hang entries under'],
    ...serverOptions,
  ],
  examples: [
    'countersign node token --agent-id spiffe://example.org/node/first | sudo install -o countersign-agent -m 0600 /dev/stdin /var/lib/countersign/join-token',
    'countersign node token --ttl 1h --json',
  ],
  async run(context, input) {
    const ttlMs = parseDurationMs(textOption(input, 'ttl') ?? '10m');
    if (ttlMs === undefined || ttlMs < 1000) throw new UsageError('--ttl is a duration of a second or more, as in 10m');
    const agentId = textOption(input, 'agentId');
    const request = { ttl: Math.floor(ttlMs / 1000), ...(agentId ? { agentId: idMessage(agentId) } : {}) };
    const token = await withServer(context, input, (client) =>
      client.unary(Agent.method.createJoinToken, request, { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS }),
    );
    context.emit({ token: token.value, expiresAtS: Number(token.expiresAt) }, () => token.value);
    context.warn(
      `It can be used once, until ${formatTimeS(Number(token.expiresAt))}. Put it into a file of the agent's user with mode 0600, and name it as agent.joinToken: file:PATH.`,
    );
    return exitCodes.ok;
  },
};
