import { type CliCommand, exitCodes, flagOption } from '../../command.ts';
import { restOptions, withRest } from '../../connections/with-rest.ts';

export const command: CliCommand = {
  summary: 'Show the policies that say who may do what with the server.',
  options: [
    ['--default', 'what holds where nobody has changed them'],
    ['--built-in', 'what holds whatever they say'],
    ...restOptions,
  ],
  verbatim: true, // It is Cedar, to be written into a file.
  examples: ['countersign access show', 'countersign access show --default > access/default.cedar'],
  async run(context, input) {
    const { signal } = context;
    const { output } = await withRest(context, input, (client) => client.call('access.get', {}, { signal }));
    const { policies, builtIn, problems, isDefault, revision } = output;
    for (const problem of problems) context.warn(`warning: the server can not evaluate them: ${problem}`);
    context.emit(output, () => {
      if (flagOption(input, 'default')) return output.default.trimEnd();
      if (flagOption(input, 'builtIn')) return builtIn.trimEnd();
      const head = isDefault ? '// nobody has changed them: the default holds' : `// revision ${revision}`;
      const texts = policies.map(({ name, cedar }) => `// ${name}.cedar\n${cedar.trimEnd()}`);
      return [head, ...texts].join('\n\n');
    });
    return exitCodes.ok;
  },
};
