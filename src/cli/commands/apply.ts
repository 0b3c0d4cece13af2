import { createInterface } from 'node:readline/promises';
import { Bundle, Control } from '@countersign/sdk/contract';
import { type CliCommand, type CliContext, exitCodes, flagOption, listOption, UsageError } from '../command.ts';
import { readDeclared } from '../declared-files.ts';
import { applyEntries, planEntries } from '../plan-entries.ts';
import { CALL_TIMEOUT_MS, serverOptions, withServer } from '../server-client.ts';
import { formatTable } from '../table.ts';

export const command: CliCommand = {
  summary: 'Make declared targets, policies and entries true; shows the plan first.',
  options: [
    ['-f, --file <path...>', 'file or folder with resources (*.yaml) and policies (*.cedar)'],
    ['--dry-run', 'only show the plan'],
    ['--prune', 'also delete targets and policies that are no longer declared'],
    ['--yes', 'do not ask before acting'],
    ...serverOptions,
  ],
  examples: ['countersign apply -f ./countersign.d --dry-run', 'countersign apply -f ./countersign.d --yes'],
  async run(context, input) {
    const paths = listOption(input, 'file');
    if (paths.length === 0) throw new UsageError('-f, the file or folder with resources, is missing');
    const declared = readDeclared(paths);
    const resources = declared
      .filter(({ kind }) => kind !== 'Entry')
      .map(({ kind, name, spec }) => ({ kind, name, specJson: JSON.stringify(spec) }));
    const options = { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS };
    const prune = flagOption(input, 'prune');
    return withServer(context, input, async (client) => {
      const { trustDomain } = await client.unary(Bundle.method.getBundle, {}, options);
      const entries = await planEntries(
        client,
        declared.filter(({ kind }) => kind === 'Entry'),
        { ...options, trustDomain },
      );
      const planned = await client.unary(Control.method.apply, { dryRun: true, prune, resources }, options);
      const changes = [
        ...planned.changes.map(({ kind, name, action, differences }) => ({ kind, name, action, differences })),
        ...entries.map(({ kind, name, action, differences }) => ({ kind, name, action, differences })),
      ];
      const acting = changes.filter(({ action }) => action !== 'unchanged');
      if (acting.length === 0 || flagOption(input, 'dryRun')) {
        context.emit({ changes, applied: false }, () => formatPlan(changes));
        return exitCodes.ok;
      }
      context.say(formatPlan(changes));
      if (!flagOption(input, 'yes') && !(await confirm(context))) return exitCodes.no;
      await client.unary(Control.method.apply, { dryRun: false, prune, resources }, options);
      const problems = await applyEntries(client, entries, options);
      for (const problem of problems) context.warn(`countersign: ${problem}`);
      context.emit({ changes, applied: problems.length === 0 }, () =>
        problems.length === 0
          ? `applied ${acting.length} change(s)`
          : `${problems.length} entries were refused; the rest was applied`,
      );
      return problems.length === 0 ? exitCodes.ok : exitCodes.no;
    });
  },
};

function formatPlan(
  changes: readonly { kind: string; name: string; action: string; differences: readonly string[] }[],
): string {
  if (changes.every(({ action }) => action === 'unchanged')) return 'Nothing to change.';
  const rows = changes.flatMap(({ kind, name, action, differences }) => [
    [SIGNS[action] ?? action, kind, name, action],
    ...differences.map((line) => ['', '', '', `  ${line}`]),
  ]);
  return formatTable(['', 'kind', 'name', 'change'], rows);
}

async function confirm(context: CliContext): Promise<boolean> {
  if (context.json || !process.stdin.isTTY)
    throw new UsageError('nobody is there to ask; give --yes to apply this plan');
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test(await prompt.question('Apply this plan? [y/N] ', { signal: context.signal }));
  } finally {
    prompt.close();
  }
}

const SIGNS: Readonly<Record<string, string>> = { create: '+', update: '~', delete: '-', unchanged: '=' };
