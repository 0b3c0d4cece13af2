import { argument, type CliCommand, exitCodes } from '../../command.ts';
import { restOptions, withRest } from '../../connections/with-rest.ts';

export const command: CliCommand = {
  summary: 'Lift a hold: what it has kept goes by the rules of retention again.',
  arguments: '<name>',
  options: restOptions,
  examples: ['countersign hold lift case-7'],
  async run(context, input) {
    const name = argument(input, 0, 'the name of a hold, as `hold list` shows it');
    const { output } = await withRest(context, input, (client) =>
      client.call('record-hold.lift', { name }, { signal: context.signal }),
    );
    context.emit(
      output,
      () => `${name} is lifted. What is past its time leaves with the next look, within a minute or so.`,
    );
    return exitCodes.ok;
  },
};
