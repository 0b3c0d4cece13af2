import { parseDurationMs } from '../../../std/index.ts';
import { type CliCommand, type CliContext, type CliInput, exitCodes, textOption, UsageError } from '../../command.ts';
import { changeLines } from '../../declared/change-lines.ts';
import { asDamage, openLedgerFolder } from '../../ledger/folder.ts';
import { type ChangeOfPolicies, changeOfPolicies } from '../../policy/changes.ts';
import { inOneLine } from '../../terminal/printable.ts';
import { formatTimeS } from '../../terminal/table.ts';

export const command: CliCommand = {
  summary: "Show who changed policies, when and how, from the server's ledger.",
  options: [
    ['--since <time>', 'how far back: a duration such as 12h or 7d, or a time such as 2026-12-01T00:00:00Z', '1d'],
    ['--dir <dir>', "the ledger's folder (default: the server's, from the configuration)"],
  ],
  lines: 'each change',
  verbatim: true,
  examples: ['countersign policy log --since 1d', 'countersign policy log --since 7d --json'],
  async run(context, input) {
    const sinceMs = sinceOf(context, input);
    const reader = openLedgerFolder(context, { ...input, options: { ...input.options, of: 'server' } });
    let count = 0;
    try {
      for await (const entry of reader.search({ kinds: ['admin'], action: 'Apply', sinceMs }, context.signal)) {
        const change = changeOfPolicies(entry);
        if (change === undefined) continue;
        count++;
        context.emit(changeValue(change), () => formatChange(change));
      }
    } catch (error) {
      throw asDamage(error);
    }
    if (count === 0) context.say(`No policy was changed since ${formatTimeS(Math.floor(sinceMs / 1000))}.`);
    return exitCodes.ok;
  },
};

function changeValue({ changes, leftOut, ...about }: ChangeOfPolicies) {
  return {
    ...about,
    changes: changes.map(({ name, action }) => `${action} ${name}`),
    differences: [
      ...changes.flatMap(({ name, differences }) => differences.map((line) => `${name}: ${line}`)),
      ...leftOut,
    ],
  };
}

/** Epoch milliseconds. @throws UsageError */
function sinceOf({ clock }: CliContext, input: CliInput): number {
  const text = textOption(input, 'since') ?? '1d';
  const backMs = parseDurationMs(text);
  if (backMs !== undefined) return Math.max(0, clock.now() - backMs);
  const timeMs = TIME.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(timeMs))
    throw new UsageError(
      `--since is a duration such as 12h or 7d, or a time such as 2026-12-01T00:00:00Z, not ${text}`,
    );
  return timeMs;
}

function formatChange({ seq, timeMs, actor, operator, changes, leftOut }: ChangeOfPolicies): string {
  return [
    `${formatTimeS(Math.floor(timeMs / 1000))}  ${inOneLine(operator ?? actor)}  (entry ${seq})`,
    ...changes.flatMap(({ name, action, differences }) => [
      `  ${action} ${name}`,
      ...changeLines({ kind: 'Policy', action, differences }, '    '),
    ]),
    ...leftOut.map((line) => `    ${line}`),
  ].join('\n');
}

const TIME = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?Z)?$/;
