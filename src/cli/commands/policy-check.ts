import { formatProblem } from '../../policy/index.ts';
import { type CliCommand, exitCodes, flagOption } from '../command.ts';
import { checkPolicyFiles } from '../policy-files.ts';
import { warnOfNamesInFiles } from '../warn-of-names.ts';

export const command: CliCommand = {
  summary: 'Check policies: syntax, names and types, annotations; names against targets and entries in the same files.',
  arguments: '[paths...]',
  options: [['--strict', 'warnings fail too']],
  examples: ['countersign policy check ./countersign.d', 'countersign policy check ./countersign.d --strict'],
  async run(context, input) {
    const report = checkPolicyFiles(input);
    const warnings = warnOfNamesInFiles(context, input, report);
    const found = [...report.problems, ...warnings];
    const isBroken =
      found.some(({ severity }) => severity === 'error') || (flagOption(input, 'strict') && found.length > 0);
    const policies = report.compiled?.policies.length ?? 0;
    context.emit({ ok: !isBroken, policies, problems: report.problems, warnings }, () => {
      const lines = found.map(formatProblem);
      return isBroken ? lines.join('\n') : [...lines, `${policies} policies are fine`].join('\n');
    });
    return isBroken ? exitCodes.no : exitCodes.ok;
  },
};
