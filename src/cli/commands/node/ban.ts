import { Agent } from '@countersign/sdk/contract';
import { argument, type CliCommand, exitCodes } from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../../connections/server-options.ts';
import { idMessage } from '../../entries/entry-text.ts';

export const command: CliCommand = {
  summary: 'Ban a node: its agent is shut out and may not attest again.',
  arguments: '<spiffe-id>',
  options: serverOptions,
  examples: ['countersign node ban spiffe://example.org/spire/agent/x509pop/0a1b2c'],
  async run(context, input) {
    const text = argument(input, 0, 'the SPIFFE ID of the node');
    const id = idMessage(text);
    await withServer(context, input, (client) =>
      client.unary(Agent.method.banAgent, { id }, { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS }),
    );
    context.emit({ id: text, banned: true }, () => `banned ${text}`);
    return exitCodes.ok;
  },
};
