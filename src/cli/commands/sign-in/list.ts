import { type CliCommand, exitCodes } from '../../command.ts';
import { restOptions, withRest } from '../../connections/with-rest.ts';
import { formatList } from '../../terminal/table.ts';

export const command: CliCommand = {
  summary: 'List who has signed in, newest first.',
  options: restOptions,
  examples: ['countersign sign-in list', 'countersign sign-in list --json'],
  async run(context, input) {
    const { signal } = context;
    const { output } = await withRest(context, input, (client) => client.call('sign-in.list', {}, { signal }));
    const rows = output.signIns.map(({ id, kind, email, subject, address, since, seen, ends }) => [
      ...[id, email ?? subject, kind, address],
      ...[since, seen, ends].map((time) => time.replace(/\.\d+Z$/, 'Z')),
    ]);
    context.emit(output.signIns, () =>
      rows.length === 0
        ? 'Nobody has signed in.'
        : formatList(['ID', 'PERSON', 'BY', 'FROM', 'SINCE', 'SEEN', 'ENDS'], rows, context.columns),
    );
    return exitCodes.ok;
  },
};
