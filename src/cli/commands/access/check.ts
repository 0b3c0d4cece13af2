import { readAccessFiles } from '../../access/access-files.ts';
import { formatAccessPlan } from '../../access/access-plan.ts';
import { type CliCommand, exitCodes, flagOption } from '../../command.ts';
import { restOptions, withRest } from '../../connections/with-rest.ts';

export const command: CliCommand = {
  summary: 'Have the server check policies of access, and show what they would change.',
  options: [
    ['-f, --file <path...>', 'files or folders with *.cedar: all that is to be in force'],
    ['--default', 'instead of files: what holds where nobody has changed them'],
    ...restOptions,
  ],
  verbatim: true, // Lines of policies.
  examples: ['countersign access check -f ./access'],
  async run(context, input) {
    const { signal } = context;
    const wanted = flagOption(input, 'default') ? { useDefault: true } : { policies: readAccessFiles(input) };
    const { output } = await withRest(context, input, (client) => client.call('access.check', wanted, { signal }));
    for (const warning of output.warnings) context.warn(`warning: ${warning}`);
    context.emit(output, () =>
      output.problems.length > 0
        ? output.problems.map(({ path, message }) => `${path}: ${message}`).join('\n')
        : formatAccessPlan(output),
    );
    return output.problems.length > 0 || output.locksOut ? exitCodes.no : exitCodes.ok;
  },
};
