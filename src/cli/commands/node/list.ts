import { Agent } from '@countersign/sdk/contract';
import type { Agent as AgentMessage } from '@countersign/sdk/contract/gen/spire/api/types/agent_pb.ts';
import { type CliCommand, exitCodes } from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../../connections/server-options.ts';
import { formatNodes, nodeValue } from '../../entries/nodes.ts';

export const command: CliCommand = {
  summary: 'List attested nodes.',
  options: serverOptions,
  examples: ['countersign node list', 'countersign node list --json'],
  async run(context, input) {
    const nodes: AgentMessage[] = [];
    await withServer(context, input, async (client) => {
      let pageToken = '';
      do {
        const page = await client.unary(
          Agent.method.listAgents,
          { pageSize: PAGE, pageToken },
          { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS },
        );
        nodes.push(...page.agents);
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
    });
    context.emit(nodes.map(nodeValue), () =>
      nodes.length === 0
        ? 'No node has attested yet. Make a token with `countersign node token` and start an agent with it.'
        : formatNodes(nodes, context.columns),
    );
    return exitCodes.ok;
  },
};

const PAGE = 500;
