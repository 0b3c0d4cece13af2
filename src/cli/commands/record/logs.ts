import { Records } from '@countersign/sdk/contract';
import { type CliCommand, exitCodes } from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../../connections/server-options.ts';
import { formatLogs, logValue } from '../../record/logs.ts';

export const command: CliCommand = {
  summary: 'List the ledgers that are shipped to the server, and what is wrong with them.',
  options: serverOptions,
  examples: ['countersign record logs', 'countersign record logs --json'],
  async run(context, input) {
    const { logs } = await withServer(context, input, (client) =>
      client.unary(Records.method.listLogs, {}, { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS }),
    );
    context.emit(logs.map(logValue), () =>
      logs.length === 0 ? 'No ledger was shipped yet.' : formatLogs(logs, context.columns),
    );
    return exitCodes.ok;
  },
};
