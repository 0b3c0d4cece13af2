import { Bundle, Control } from '@countersign/sdk/contract';
import { formatProblem } from '../../policy/index.ts';
import { type RpcClient, RpcError } from '../../rpc/index.ts';
import { type CliCommand, type CliContext, exitCodes, flagOption, listOption, UsageError } from '../command.ts';
import { withServer } from '../connections/server-client.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../connections/server-options.ts';
import { changeLines } from '../declared/change-lines.ts';
import { readDeclared } from '../declared/files.ts';
import { askGateways, type GatewayAnswer, warningsOf } from '../declared/gateway-answers.ts';
import { lostPolicies } from '../declared/lost-policies.ts';
import { withFiles } from '../declared/refused-apply.ts';
import { formatStanding, type StandingPolicies, standingPolicies } from '../declared/standing-policies.ts';
import { toldBefore, warnOfNames } from '../declared/warn-of-applied.ts';
import { warnOfExpired } from '../declared/warn-of-expired.ts';
import { warnOfDescribed, warnOfStandingMasks, warnOfUnnamed } from '../described/warn-of-described.ts';
import { changedAttributes, changedEntries, planEntries } from '../entries/plan-entries.ts';
import { formatNote, notesOnDeclared } from '../entries/warn-of-entries.ts';
import { confirm } from '../terminal/confirm.ts';
import { formatTable, formatWords } from '../terminal/table.ts';

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
    const { resources: declared, policies, placeOf, documents } = readDeclared(paths);
    const described = [...warnOfUnnamed(documents, declared), ...warnOfDescribed(declared, policies)];
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
      const names = await warnOfNames(client, { declared, policies }, { ...options, trustDomain, prune });
      const standingMasks = prune ? [] : await warnOfStandingMasks(client, declared, options);
      const warnings = [...names, ...described, ...standingMasks, ...warnOfExpired(context, policies)];
      const notes = await notesOnDeclared(client, { declared, entries }, options);
      if (!context.json)
        for (const line of [...warnings.map(formatProblem), ...notes.map(formatNote)]) context.warn(line);
      const declaration = {
        ...{ prune, resources, entries: changedEntries(entries) },
        entryAttributes: changedAttributes(entries),
      };
      const apply = (dryRun: boolean) =>
        client
          .unary(Control.method.apply, { ...declaration, dryRun }, options)
          .catch((error: unknown) => Promise.reject(withFiles(error, placeOf)));
      const planned = await apply(true);
      const changes = [
        ...planned.changes.map(({ kind, name, action, differences }) => ({ kind, name, action, differences })),
        ...entries.map(({ kind, name, action, differences }) => ({ kind, name, action, differences })),
      ];
      const acting = changes.filter(({ action }) => action !== 'unchanged');
      const lost = await lostPolicies(client, { changes, declared: policies.compiled }, options);
      const standing = prune ? NOTHING_STANDS : await standingPolicies(client, declared, options);
      const plan = () => formatPlan(changes, { lost, standing: formatStanding(standing) });
      const told = [...warnings, ...notes];
      if (acting.length === 0 || flagOption(input, 'dryRun')) {
        context.emit({ changes, applied: false, warnings: told, standing }, plan);
        // Whoever applies the same once more wants to know how it stands.
        const stands = acting.length === 0 && resources.length > 0;
        if (stands && !context.json)
          for (const warning of warningsOf(await answersOf(context, client, planned.revision), toldBefore(names)))
            context.warn(warning);
        return exitCodes.ok;
      }
      context.say(plan());
      if (!flagOption(input, 'yes') && !(await confirm(context, QUESTION))) return exitCodes.no;
      // One transaction at the server: all of it, or a failure that says why nothing.
      const { revision } = await apply(false);
      context.say(`applied ${acting.length} change(s)`);
      const concerned = acting.some(({ kind }) => kind !== 'Entry');
      const gateways = concerned ? await answersOf(context, client, revision) : [];
      if (context.json) context.emit({ changes, applied: true, warnings: told, gateways, standing }, () => '');
      else for (const warning of warningsOf(gateways, toldBefore(names))) context.warn(warning);
      return exitCodes.ok;
    });
  },
};

/** It is applied, whatever becomes of the question. */
async function answersOf(context: CliContext, client: RpcClient, revision: bigint): Promise<readonly GatewayAnswer[]> {
  const { clock, signal } = context;
  try {
    const answers = await askGateways(client, { revision, clock, signal, timeoutMs: CALL_TIMEOUT_MS });
    if (answers.length === 0 && !context.json) context.warn(NO_GATEWAY);
    return answers;
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    context.warn(`warning: what the gateways say of it could not be asked: ${error.message}`);
    return [];
  }
}

function formatPlan(
  changes: readonly { kind: string; name: string; action: string; differences: readonly string[] }[],
  { lost, standing }: { readonly lost: readonly string[]; readonly standing: readonly string[] },
): string {
  const notes = standing.map((line) => formatWords(line, ''));
  if (changes.every(({ action }) => action === 'unchanged')) return ['Nothing to change.', ...notes].join('\n');
  const [heading = '', ...rows] = formatTable(
    ['', 'kind', 'name', 'change'],
    changes.map(({ kind, name, action }) => [SIGNS[action] ?? action, kind, name, action]),
  ).split('\n');
  const lines = changes.flatMap((change, index) => [rows[index] ?? '', ...changeLines(change, '     ')]);
  const gone = lost.length > 0 ? [formatWords(`policies no longer there: ${lost.join(', ')}`, '')] : [];
  return [heading, ...lines, ...gone, ...notes].join('\n');
}

const QUESTION = { question: 'Apply this plan?', unasked: 'give --yes to apply this plan' };
const NOTHING_STANDS: StandingPolicies = { others: [], hindrances: [] };
const NO_GATEWAY =
  'warning: no gateway is connected, so nobody has looked whether targets answer and masks find their columns; once one is, `countersign doctor` says so';
const SIGNS: Readonly<Record<string, string>> = { create: '+', update: '~', delete: '-', unchanged: '=' };
