import { type CliCommand, exitCodes } from '../../command.ts';
import { restOptions, withRest } from '../../connections/with-rest.ts';
import { formatList } from '../../terminal/table.ts';

export const command: CliCommand = {
  summary: 'List what is kept in the record whatever its age.',
  options: restOptions,
  examples: ['countersign hold list', 'countersign hold list --json'],
  async run(context, input) {
    const { signal } = context;
    const { output } = await withRest(context, input, (client) => client.call('record-hold.list', {}, { signal }));
    const rows = output.holds.map(({ name, at, by, selection, reason }) => {
      return [name, at.replace(/\.\d+Z$/, 'Z'), by, selection, reason];
    });
    context.emit(output.holds, () =>
      rows.length === 0
        ? 'Nothing is held.'
        : formatList(['HOLD', 'SINCE', 'BY', 'SELECTION', 'WHY'], rows, context.columns),
    );
    return exitCodes.ok;
  },
};
