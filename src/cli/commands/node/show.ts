import { Agent } from '@countersign/sdk/contract';
import { argument, type CliCommand, exitCodes } from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../../connections/server-options.ts';
import { idMessage } from '../../entries/entry-text.ts';
import { aliasesOf } from '../../entries/node-aliases.ts';
import { formatNode, nodeValue } from '../../entries/nodes.ts';

export const command: CliCommand = {
  summary: 'Show one attested node, and the aliases that entries can name as their parent to hold on it.',
  arguments: '<spiffe-id>',
  options: serverOptions,
  examples: ['countersign node show spiffe://example.org/spire/agent/x509pop/0a1b2c'],
  async run(context, input) {
    const id = idMessage(argument(input, 0, 'the SPIFFE ID of the node'));
    const options = { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS };
    const { node, aliases } = await withServer(context, input, async (client) => {
      const found = await client.unary(Agent.method.getAgent, { id }, options);
      return { node: found, aliases: await aliasesOf(client, found, { ...options, clock: context.clock }) };
    });
    context.emit({ ...nodeValue(node), aliases }, () => formatNode(node, aliases, context.columns));
    return exitCodes.ok;
  },
};
