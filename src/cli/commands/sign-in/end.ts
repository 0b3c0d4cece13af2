import { argument, type CliCommand, exitCodes } from '../../command.ts';
import { restOptions, withRest } from '../../connections/with-rest.ts';

export const command: CliCommand = {
  summary: 'End a sign-in, at every server at once.',
  arguments: '<id>',
  options: restOptions,
  examples: ['countersign sign-in end 5f3a09c1d2e4b687'],
  async run(context, input) {
    const id = argument(input, 0, 'the id of the sign-in');
    const { signal } = context;
    const { output } = await withRest(context, input, (client) => client.call('sign-in.end', { id }, { signal }));
    context.emit(output, () => `ended the sign-in ${id} of ${output.email ?? output.subject}`);
    return exitCodes.ok;
  },
};
