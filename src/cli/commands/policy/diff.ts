import type { PolicySummary } from '../../../policy/index.ts';
import { lineDifferences } from '../../../resources/index.ts';
import { type CliCommand, exitCodes, listOption, UsageError } from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../../connections/server-options.ts';
import { readDeclared } from '../../declared/files.ts';
import { policiesInForce } from '../../policy/policies-at-server.ts';
import { formatWords } from '../../terminal/table.ts';

export const command: CliCommand = {
  summary: 'Say how the policies of files differ from those in force under the same names, policy by policy.',
  options: [['-f, --file <path...>', 'file or folder with policies, as for `countersign apply`'], ...serverOptions],
  verbatim: true,
  examples: ['countersign policy diff -f ./countersign.d'],
  async run(context, input) {
    const paths = listOption(input, 'file');
    if (paths.length === 0) throw new UsageError('-f, the file or folder with policies, is missing');
    const options = { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS };
    // Most of the texts are the same on both sides, and the server has parsed its own.
    const atServer = await withServer(context, input, (client) => policiesInForce(client, options)).catch((error) => {
      readDeclared(paths); // What is wrong with the files is told first: it is for whoever asks to mend.
      throw error;
    });
    const files = readDeclared(paths, atServer.formOf);
    const declared = files.policies.compiled?.policies ?? [];
    const names = new Set(files.resources.flatMap(({ kind, name }) => (kind === 'Policy' ? [name] : [])));
    const { policies: inForce } = atServer.compiled;
    const ids = new Set(declared.map(({ id }) => id));
    const isLookedAt = ({ id, position }: PolicySummary) => names.has(position.source) || ids.has(id);
    const differences = differencesBetween(
      withoutTwins(inForce.filter(isLookedAt), declared),
      withoutTwins(declared, inForce),
    );
    const others = inForce.filter((policy) => !isLookedAt(policy));
    context.emit(differences, () =>
      [
        differences.length === 0 ? 'The policies of the files are those in force.' : formatDifferences(differences),
        ...notLookedAt(others),
      ].join('\n'),
    );
    return differences.length === 0 ? exitCodes.ok : exitCodes.no;
  },
};

/** A policy that files and server do not have alike. */
interface PolicyDifference {
  readonly id: string;
  readonly effect: PolicySummary['effect'];
  /** `added`: in the files alone; `missing`: in force alone. */
  readonly kind: 'added' | 'changed' | 'missing';
  /** Where it is declared. */
  readonly in: string;
  /** Lines of its text, as `-2: old` in force, `+2: new` in the files. */
  readonly lines: readonly string[];
}

function differencesBetween(
  present: readonly PolicySummary[],
  declared: readonly PolicySummary[],
): readonly PolicyDifference[] {
  const before = new Map(present.map((policy) => [policy.id, policy]));
  const after = new Map(declared.map((policy) => [policy.id, policy]));
  return Array.from(new Set([...before.keys(), ...after.keys()]))
    .sort()
    .flatMap((id) => differenceOf(before.get(id), after.get(id)));
}

function differenceOf(old: PolicySummary | undefined, fresh: PolicySummary | undefined): PolicyDifference[] {
  const shown = fresh ?? old;
  if (shown === undefined) return [];
  const { id, effect, position } = shown;
  const kind = old === undefined ? 'added' : fresh === undefined ? 'missing' : 'changed';
  const lines = old === undefined || fresh === undefined ? [] : lineDifferences(old.text, fresh.text);
  return [{ id, effect, kind, in: position.source, lines }];
}

/** Those whose very text the others do not have: one without an @id is called by its place, and may have moved. */
function withoutTwins(policies: readonly PolicySummary[], others: readonly PolicySummary[]): readonly PolicySummary[] {
  const texts = new Set(others.map(({ text }) => text));
  return policies.filter(({ text }) => !texts.has(text));
}

/** What the files have no say in: a file of one policy is not about all the others. */
function notLookedAt(others: readonly PolicySummary[]): readonly string[] {
  if (others.length === 0) return [];
  const names = Array.from(new Set(others.map(({ position }) => position.source)));
  const count = others.length === 1 ? '1 policy' : `${others.length} policies`;
  const named = `${names.slice(0, NAMES_MAX).join(', ')}${names.length > NAMES_MAX ? ', …' : ''}`;
  return [formatWords(`Not looked at: ${count} in force that these files do not have, in ${named}.`, '')];
}

function formatDifferences(differences: readonly PolicyDifference[]): string {
  return differences
    .flatMap(({ id, effect, kind, in: place, lines }) => [
      `${SIGNS[kind]} ${effect} ${id} (${PLACES[kind]} ${place})`,
      ...lines.map((line) => `    ${line}`),
    ])
    .join('\n');
}

/** A screenful. */
const NAMES_MAX = 20;
const SIGNS = { added: '+', changed: '~', missing: '-' } as const;
const PLACES = { added: 'only in the files, Policy', changed: 'Policy', missing: 'only in force, Policy' } as const;
