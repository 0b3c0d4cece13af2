import { formatProblem } from '../../policy/index.ts';
import { type CliCommand, exitCodes } from '../command.ts';
import { checkPolicyFiles } from '../policy-files.ts';

export const command: CliCommand = {
  summary: 'Check policies: syntax, names and types, annotations.',
  arguments: '[paths...]',
  examples: ['countersign policy check ./countersign.d'],
  async run(context, input) {
    const report = checkPolicyFiles(input);
    const broken = report.problems.some(({ severity }) => severity === 'error');
    context.emit({ ok: !broken, policies: report.compiled?.policies.length ?? 0, problems: report.problems }, () => {
      const lines = report.problems.map(formatProblem);
      return broken
        ? lines.join('\n')
        : [...lines, `${report.compiled?.policies.length ?? 0} policies are fine`].join('\n');
    });
    return broken ? exitCodes.no : exitCodes.ok;
  },
};
