import { formatProblem } from '../../../policy/index.ts';
import { type CliCommand, exitCodes, flagOption } from '../../command.ts';
import { checkPolicyFiles } from '../../declared/policy-files.ts';
import { warnOfExpired } from '../../declared/warn-of-expired.ts';
import { warnOfNamesInFiles } from '../../declared/warn-of-names.ts';
import { warnOfDescribedInFiles } from '../../described/warn-of-described.ts';

export const command: CliCommand = {
  summary: 'Check policies: syntax, names and types, annotations; names against targets and entries in the same files.',
  arguments: '[paths...]',
  options: [['--strict', 'warnings fail too']],
  verbatim: true, // As compilers say it, a line each: editors read it so.
  examples: ['countersign policy check ./countersign.d', 'countersign policy check ./countersign.d --strict'],
  async run(context, input) {
    const report = checkPolicyFiles(input);
    const warnings = [
      ...warnOfNamesInFiles(context, input, report),
      ...warnOfDescribedInFiles(input, report),
      ...warnOfExpired(context, report),
    ];
    const found = [...report.problems, ...warnings];
    const hasError = found.some(({ severity }) => severity === 'error');
    const isBroken = hasError || (flagOption(input, 'strict') && found.length > 0);
    const policies = report.compiled?.policies.length ?? 0;
    context.emit({ ok: !isBroken, policies, problems: report.problems, warnings }, () => {
      const lines = found.map(formatProblem);
      if (hasError) return lines.join('\n');
      if (isBroken) return [...lines, '--strict: warnings fail too'].join('\n');
      return [...lines, policies === 1 ? '1 policy is fine' : `${policies} policies are fine`].join('\n');
    });
    return isBroken ? exitCodes.no : exitCodes.ok;
  },
};
