import type { PolicySummary } from '../../policy/index.ts';
import { lineDifferences } from '../../resources/index.ts';
import { type CliCommand, exitCodes, listOption, UsageError } from '../command.ts';
import { readDeclared } from '../declared-files.ts';
import { policiesInForce } from '../policies-asked.ts';
import { CALL_TIMEOUT_MS, serverOptions, withServer } from '../server-client.ts';

export const command: CliCommand = {
  summary: 'Say how the policies of files differ from those in force, policy by policy.',
  options: [['-f, --file <path...>', 'file or folder with policies, as for `countersign apply`'], ...serverOptions],
  examples: ['countersign policy diff -f ./countersign.d'],
  async run(context, input) {
    const paths = listOption(input, 'file');
    if (paths.length === 0) throw new UsageError('-f, the file or folder with policies, is missing');
    const declared = readDeclared(paths).policies.compiled?.policies ?? [];
    const options = { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS };
    const { policies: present } = await withServer(context, input, (client) => policiesInForce(client, options));
    const differences = differencesBetween(present, declared);
    context.emit(differences, () =>
      differences.length === 0 ? 'The policies of the files are those in force.' : formatDifferences(differences),
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
  const before = new Map(withoutTwins(present, declared).map((policy) => [policy.id, policy]));
  const after = new Map(withoutTwins(declared, present).map((policy) => [policy.id, policy]));
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

function formatDifferences(differences: readonly PolicyDifference[]): string {
  return differences
    .flatMap(({ id, effect, kind, in: place, lines }) => [
      `${SIGNS[kind]} ${effect} ${id} (${PLACES[kind]} ${place})`,
      ...lines.map((line) => `    ${line}`),
    ])
    .join('\n');
}

const SIGNS = { added: '+', changed: '~', missing: '-' } as const;
const PLACES = { added: 'only in the files, Policy', changed: 'Policy', missing: 'only in force, Policy' } as const;
