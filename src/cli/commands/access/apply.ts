import { readAccessFiles } from '../../access/access-files.ts';
import { formatAccessPlan } from '../../access/access-plan.ts';
import { type CliCommand, exitCodes, flagOption } from '../../command.ts';
import { restOptions, withRest } from '../../connections/with-rest.ts';
import { confirm } from '../../terminal/confirm.ts';

export const command: CliCommand = {
  summary: 'Replace the policies that say who may do what with the server; shows the plan first.',
  options: [
    ['-f, --file <path...>', 'files or folders with *.cedar: all that is to be in force'],
    ['--default', 'instead of files: take back what was changed'],
    ['--dry-run', 'only show the plan'],
    ['--allow-lock-out', 'also where nobody but the operator socket could change them again'],
    ['--yes', 'do not ask before acting'],
    ...restOptions,
  ],
  verbatim: true, // Lines of policies.
  examples: ['countersign access apply -f ./access --dry-run', 'countersign access apply -f ./access --yes'],
  async run(context, input) {
    const { signal } = context;
    const wanted = flagOption(input, 'default') ? { useDefault: true } : { policies: readAccessFiles(input) };
    return withRest(context, input, async (client) => {
      const { output: plan, tag } = await client.call('access.check', wanted, { signal });
      for (const warning of plan.warnings) context.warn(`warning: ${warning}`);
      const isRefused = plan.problems.length > 0;
      if (isRefused || flagOption(input, 'dryRun')) {
        context.emit({ ...plan, applied: false }, () =>
          isRefused
            ? plan.problems.map(({ path, message }) => `${path}: ${message}`).join('\n')
            : formatAccessPlan(plan),
        );
        return isRefused ? exitCodes.no : exitCodes.ok;
      }
      context.say(formatAccessPlan(plan));
      if (!flagOption(input, 'yes') && !(await confirm(context, QUESTION))) return exitCodes.no;
      // As it was shown, or not at all.
      const ifMatch = tag === undefined ? {} : { ifMatch: tag };
      const allowLockOut = flagOption(input, 'allowLockOut');
      const { output } = await client.call('access.apply', { ...wanted, allowLockOut }, { signal, ...ifMatch });
      context.emit({ ...output, problems: [], applied: true }, () => `revision ${output.revision} holds`);
      return exitCodes.ok;
    });
  },
};

const QUESTION = { question: 'Apply this?', unasked: 'give --yes to apply this' };
