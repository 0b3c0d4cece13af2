import { Records } from '@countersign/sdk/contract';
import { type CliCommand, exitCodes, UsageError } from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../../connections/server-options.ts';
import { fieldsOf } from '../../ledger/lines.ts';
import { recordOf, recordValue } from '../../record/records.ts';
import { formatFields } from '../../terminal/table.ts';

export const command: CliCommand = {
  summary: 'Show one entry of the record, whole; with --json as it was written.',
  arguments: '<id>',
  options: serverOptions,
  examples: ['countersign record show 1/42', 'countersign record show 1/42 --json'],
  async run(context, input) {
    const [, log, position] = /^(\d{1,9})\/(\d{1,15})$/.exec(input.args[0] ?? '') ?? [];
    if (log === undefined || position === undefined)
      throw new UsageError('give the id of an entry as `record search` shows it, such as 1/42');
    const record = await withServer(context, input, async (client) => {
      const options = { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS };
      return (await client.unary(Records.method.getRecord, { log: Number(log), position: BigInt(position) }, options))
        .record;
    });
    if (record === undefined) throw new UsageError(`the server answered without entry ${log}/${position}`);
    const shown = recordOf(record);
    context.emit(recordValue(shown), () =>
      formatFields([['log', String(shown.log)], ...fieldsOf(shown.entry)], context.columns),
    );
    return exitCodes.ok;
  },
};
