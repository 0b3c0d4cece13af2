import { type CliCommand, exitCodes } from '../../command.ts';
import { followEvents } from '../../connections/follow-events.ts';
import { restOptions } from '../../connections/with-rest.ts';
import { ledgerLines } from '../../ledger/folder.ts';
import { recordFilter, recordOptions, spanOptions } from '../../record/record-options.ts';
import { recordValue, toldRecord } from '../../record/records.ts';

export const command: CliCommand = {
  summary: 'Show entries of all ledgers as they come to the server, until it is stopped.',
  options: [...recordOptions, ...spanOptions, ...restOptions],
  lines: 'each entry',
  examples: [
    'countersign record follow --kind denial',
    'countersign record follow --object public.customers --column ssn --json',
  ],
  waits: () => true,
  async run(context, input) {
    const asked = recordFilter(input, context.clock.now());
    const lines = ledgerLines(context);
    await followEvents(context, input, {
      ...{ name: 'record.follow', asked },
      show(told) {
        const one = toldRecord(told);
        context.emit(recordValue(one), () => lines.line(one.entry, one.log));
      },
    });
    return exitCodes.ok;
  },
};
