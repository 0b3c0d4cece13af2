import { policySchema } from '../../../app/policy-schema.ts';
import { runPolicyTests } from '../../../policy/index.ts';
import { type CliCommand, exitCodes, UsageError } from '../../command.ts';
import { loadPolicyFiles, policyCases } from '../../declared/policy-files.ts';
import { askedAt, atOption } from '../../policy/asked-at.ts';

export const command: CliCommand = {
  summary: 'Run the test cases (*.test.yaml) that lie beside the policies.',
  arguments: '[paths...]',
  options: [atOption],
  examples: [
    'countersign policy test ./countersign.d',
    'countersign policy test ./countersign.d --at 2026-12-31T23:59:59Z',
  ],
  async run(context, input) {
    const at = { schema: policySchema, nowMs: askedAt(context, input) };
    const compiled = loadPolicyFiles(input);
    const files = policyCases(input);
    if (files.length === 0) throw new UsageError('there is no *.test.yaml beside these policies');
    const results = files.flatMap(({ file, cases }) =>
      runPolicyTests(cases, compiled, at).map((result) => ({ file, ...result })),
    );
    const failed = results.filter(({ passed }) => !passed);
    context.emit({ passed: results.length - failed.length, failed: failed.length, results }, () =>
      [
        ...results.map(({ name, passed, differences }) =>
          [`${passed ? 'ok  ' : 'FAIL'}  ${name}`, ...differences.map((line) => `        ${line}`)].join('\n'),
        ),
        `${results.length - failed.length} passed, ${failed.length} failed`,
      ].join('\n'),
    );
    return failed.length === 0 ? exitCodes.ok : exitCodes.no;
  },
};
