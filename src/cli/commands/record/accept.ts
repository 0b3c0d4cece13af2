import { Records } from '@countersign/sdk/contract';
import { argument, type CliCommand, exitCodes } from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../../connections/server-options.ts';
import { logValue } from '../../record/logs.ts';

export const command: CliCommand = {
  summary: 'Close a ledger of the record: what is wrong with it, or that it is silent, is known and settled.',
  arguments: '<ledger>',
  options: serverOptions,
  examples: ['countersign record accept example.org/gateway/gateway-1'],
  async run(context, input) {
    const origin = argument(input, 0, 'the name of a ledger, as `record logs` shows it,');
    const { log } = await withServer(context, input, (client) =>
      client.unary(Records.method.acceptLog, { origin }, { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS }),
    );
    context.emit(log === undefined ? {} : logValue(log), () => `${origin} is closed. What was shipped of it stays.`);
    return exitCodes.ok;
  },
};
