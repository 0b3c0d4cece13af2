import { argument, type CliCommand, exitCodes, textOption, UsageError } from '../../command.ts';
import { restOptions, withRest } from '../../connections/with-rest.ts';
import { recordFilter, recordOptions, spanOptions } from '../../record/record-options.ts';

export const command: CliCommand = {
  summary: 'Keep what is selected in the record, whatever its age, until the hold is lifted.',
  arguments: '<name>',
  options: [
    ['--why <text>', 'why it must stay, in one line; it stands in the ledger'],
    ['--all', 'everything: no filter'],
    ...recordOptions,
    ...spanOptions,
    ...restOptions,
  ],
  examples: ['countersign hold add case-7 --who /shop/web --since 2026-11-01 --why "claim 7"'],
  async run(context, input) {
    const name = argument(input, 0, 'a name for the hold');
    const reason = textOption(input, 'why') ?? '';
    if (reason === '') throw new UsageError('say why it must stay, with --why: it stands in the ledger');
    const filter = recordFilter(input, context.clock.now());
    if (Object.keys(filter).length === 0 && input.options['all'] !== true)
      throw new UsageError('say what must stay, by the options of `record search`; everything is --all');
    const { output } = await withRest(context, input, (client) =>
      client.call('record-hold.add', { name, reason, filter }, { signal: context.signal }),
    );
    context.emit(output, () => `${name} keeps ${output.selection}. What has left before is not brought back.`);
    return exitCodes.ok;
  },
};
