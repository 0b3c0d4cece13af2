import { createReplay, type Replay, type ReplayDifference } from '../../../policy/index.ts';
import { type CliCommand, exitCodes } from '../../command.ts';
import { loadPolicyFiles } from '../../declared/policy-files.ts';
import { ledgerOptions } from '../../ledger/folder.ts';
import { eachRecorded, recordedOptions } from '../../ledger/recorded-operations.ts';
import { inOneLine } from '../../terminal/printable.ts';
import { formatTimeS, formatWords } from '../../terminal/table.ts';

export const command: CliCommand = {
  summary: 'Judge what stands in a ledger again by the policies of files, and say what would be answered otherwise.',
  arguments: '[paths...]',
  options: [...recordedOptions, ...ledgerOptions],
  examples: [
    'countersign policy replay ./countersign.d',
    'countersign policy replay ./countersign.d --since 30d --identity spiffe://example.org/shop/web',
    'countersign policy replay ./countersign.d --dir /backup/ledger --json',
  ],
  async run(context, input) {
    const replaying = createReplay(loadPolicyFiles(input));
    const { cut } = await eachRecorded(context, input, (operation) => replaying.judge(operation));
    const result = replaying.result();
    context.emit({ ...result, cut }, () => formatReplay(result, cut));
    return result.differences.length === 0 ? exitCodes.ok : exitCodes.no;
  },
};

function formatReplay(replay: Replay, cut: number): string {
  const { judged, notByPolicy, differences } = replay;
  const counts = [
    `${judged} ${judged === 1 ? 'operation was' : 'operations were'} judged again`,
    ...(notByPolicy === 0 ? [] : [`${notByPolicy} were refused whatever policy says`]),
    ...(cut === 0 ? [] : [`${cut} do not say all that was asked, and were left out`]),
  ];
  const kinds = (['denied', 'allowed', 'obligations'] as const).flatMap((kind) => {
    const some = differences.filter((one) => one.kind === kind);
    return some.length === 0 ? [] : ['', HEADINGS[kind], ...some.map(formatDifference)];
  });
  return [
    formatWords(`${counts.join('; ')}.`, ''),
    ...(differences.length === 0 ? ['Nothing would be answered otherwise.'] : kinds),
  ].join('\n');
}

function formatDifference(one: ReplayDifference): string {
  const { identity, question, count, lastMs, lastSequence, policies, before, after, shape } = one;
  const times = count === 1 ? 'once' : `${count} times`;
  const by = policies.length === 0 ? 'nothing permits it' : `by ${policies.join(', ')}`;
  const last = `last ${formatTimeS(Math.floor(lastMs / 1000))}, entry ${lastSequence}`;
  return [
    formatWords(inOneLine(`${identity} ${question.action} ${question.resource}`), '  '),
    formatWords(inOneLine(`${times}, ${last}${shape === '' ? '' : `, shape ${shape}`}; ${by}`), '      '),
    ...before.map((line) => formatWords(inOneLine(`- ${line}`), '      ')),
    ...after.map((line) => formatWords(inOneLine(`+ ${line}`), '      ')),
  ].join('\n');
}

const HEADINGS = {
  denied: 'Newly denied:',
  allowed: 'Newly allowed:',
  obligations: 'Allowed as before, with other masks, limits or recording (-: no longer, +: now):',
} as const;
