import { Agent } from '@countersign/sdk/contract';
import { argument, type CliCommand, exitCodes } from '../command.ts';
import { idMessage } from '../entries.ts';
import { formatNode, nodeValue } from '../nodes.ts';
import { CALL_TIMEOUT_MS, serverOptions, withServer } from '../server-client.ts';

export const command: CliCommand = {
  summary: 'Show one attested node.',
  arguments: '<spiffe-id>',
  options: serverOptions,
  examples: ['countersign node show spiffe://example.org/spire/agent/x509pop/0a1b2c'],
  async run(context, input) {
    const id = idMessage(argument(input, 0, 'the SPIFFE ID of the node'));
    const node = await withServer(context, input, (client) =>
      client.unary(Agent.method.getAgent, { id }, { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS }),
    );
    context.emit(nodeValue(node), () => formatNode(node));
    return exitCodes.ok;
  },
};
