import { policySchema } from '../../../app/policy-schema.ts';
import {
  type CompiledPolicies,
  checkParsed,
  cutPolicies,
  didYouMean,
  type PolicySummary,
} from '../../../policy/index.ts';
import { type CliCommand, exitCodes, flagOption, UsageError } from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { serverOptions } from '../../connections/server-options.ts';
import type { AskedPolicies } from '../../policy/declared-policies.ts';
import { type DeletedPolicy, deletedPolicy, formatDeleted } from '../../policy/deleted-policy.ts';
import { editPolicies, type PolicyEdit } from '../../policy/edit-policies.ts';
import { isGrantName } from '../../policy/grants.ts';
import { formatWords } from '../../terminal/table.ts';

export const command: CliCommand = {
  summary: 'Delete policies in force by their @id; says what is no longer permitted.',
  arguments: '<id...>',
  options: [['--dry-run', 'only say what would come of it'], ...serverOptions],
  examples: [
    'countersign policy delete grant-web-select-orders-1f2e3d4c',
    'countersign policy delete web-orders customers-masked --dry-run',
  ],
  async run(context, input) {
    if (input.args.length === 0) throw new UsageError('the id of the policy is missing');
    const ids = new Set(input.args);
    const dryRun = flagOption(input, 'dryRun');
    const { edit } = await withServer(context, input, (client) =>
      editPolicies(client, { context, dryRun }, (present) => deletionIn(present, ids, context.clock.now())),
    );
    const { deleted, fromFiles } = edit;
    context.emit({ applied: !dryRun, deleted: deleted.map(({ id, value }) => ({ id, ...value })), fromFiles }, () =>
      [
        ...deleted.flatMap((one) => formatDeleted(one, dryRun)),
        ...fromFiles.map((name) =>
          formatWords(
            `Policy ${name} was applied from files: the next apply of them brings it back. Take it out there too.`,
            '',
          ),
        ),
      ].join('\n'),
    );
    return exitCodes.ok;
  },
};

interface Deletion extends PolicyEdit {
  readonly deleted: readonly DeletedPolicy[];
  /** Names of the texts that somebody keeps elsewhere. */
  readonly fromFiles: readonly string[];
}

/** @throws UsageError for an id that none has, and then nothing is deleted */
function deletionIn(present: AskedPolicies, ids: ReadonlySet<string>, timeMs: number): Deletion {
  const { compiled, sources, formOf } = present;
  const gone = Array.from(ids, (id) => policyOf(compiled, id));
  const touched = new Set(gone.map(({ position }) => position.source));
  const cut = sources
    .filter(({ name }) => touched.has(name))
    .map((source) => {
      const places = gone.flatMap(({ position }) => (position.source === source.name ? [position] : []));
      return { name: source.name, text: cutPolicies(source, places) };
    });
  const rest = cut.filter(({ text }) => text !== '');
  const left = [...sources.filter(({ name }) => !touched.has(name)), ...rest];
  const after = checkParsed(left, policySchema, formOf).compiled;
  if (after === undefined)
    throw new UsageError('without them, the policies could not be loaded; apply the file that you want');
  return {
    put: rest,
    remove: cut.flatMap(({ name, text }) => (text === '' ? [name] : [])),
    deleted: gone.map((policy) => deletedPolicy(policy, { before: compiled, after, timeMs })),
    fromFiles: Array.from(touched).filter((name) => !isGrantName(name)),
  };
}

/** @throws UsageError */
function policyOf({ policies }: CompiledPolicies, id: string): PolicySummary {
  const found = policies.find((policy) => policy.id === id);
  if (found !== undefined) return found;
  const hint = didYouMean(
    id,
    policies.map((policy) => policy.id),
  );
  throw new UsageError(
    `there is no policy ${JSON.stringify(id)} in force (${hint ?? '`countersign policy list` shows all'}); nothing was deleted`,
  );
}
