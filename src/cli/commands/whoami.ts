import { type CliCommand, exitCodes } from '../command.ts';
import { restOptions, withRest } from '../connections/with-rest.ts';
import { formatFields } from '../terminal/table.ts';

export const command: CliCommand = {
  summary: 'Show whom the server takes you for.',
  options: restOptions,
  examples: ['countersign whoami', 'countersign whoami --json'],
  async run(context, input) {
    const { signal } = context;
    const { output } = await withRest(context, input, (client) => client.call('caller.get', {}, { signal }));
    const { kind, name, person } = output;
    const fields: (readonly [string, string])[] = [
      ['name', name],
      ['kind', kind],
      ...(person === undefined ? [] : fieldsOf(person)),
    ];
    context.emit(output, () => formatFields(fields, context.columns));
    return exitCodes.ok;
  },
};

function fieldsOf({
  email,
  groups,
  signIn,
}: {
  readonly email?: string | undefined;
  readonly groups: readonly string[];
  signIn: string;
}) {
  return [
    ...(email === undefined ? [] : [['e-mail', email] as const]),
    ['groups', groups.length === 0 ? '-' : groups.join(', ')] as const,
    ['sign-in', signIn] as const,
  ];
}
