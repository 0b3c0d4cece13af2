import type { LedgerEvent } from '../../model/index.ts';
import type { EntryInput, EntryResult, Registration } from '../../registration/index.ts';
import type {
  ApplyOptions,
  Change,
  Plan,
  PlanOptions,
  Resource,
  ResourceName,
  Resources,
} from '../../resources/index.ts';

/** All that somebody declares at once. */
export interface DeclaredSet {
  readonly resources: readonly Resource[];
  readonly entries: readonly EntryInput[];
  readonly options: PlanOptions;
}

/** Of such a set, the names. */
export interface NamedSet {
  readonly resources: readonly ResourceName[];
  readonly entries: readonly { readonly id?: string }[];
  readonly options: Pick<PlanOptions, 'prune' | 'remove'>;
}

/** What was done, or would be. Those of `entries` are not among the changes: they are written as they are given, whatever was there. */
export interface Applied {
  readonly changes: readonly Change[];
  readonly revision: number;
  /** What tells this plan from another. */
  readonly plan: string;
}

/** The set is not taken, and nothing of it was done. The message names every problem, a line each. */
export class ApplyRefused extends Error {
  readonly problems: readonly { readonly path: string; readonly message: string }[];

  constructor(head: string, problems: ApplyRefused['problems']) {
    const told = problems.slice(0, PROBLEMS_TOLD_MAX);
    super(`${head}${told.map(({ path, message }) => `${path}: ${message}`).join('\n')}`);
    this.problems = told;
  }
}

/** Makes targets, policies and entries as they are declared, all of them in one transaction. */
export function createApplier(deps: {
  readonly resources: Pick<Resources, 'plan' | 'apply'>;
  readonly registration: Pick<Registration, 'declare'>;
}) {
  const { resources, registration } = deps;
  return {
    /** What `apply` would do, and refuse. @throws ApplyRefused; ResourcesError, RegistrationError, StoreError */
    async plan({ resources: declared, entries, options }: DeclaredSet, signal: AbortSignal): Promise<Applied> {
      const plan = applied(await resources.plan(declared, { ...options, signal }));
      if (entries.length > 0) refuseBad(entries, await registration.declare(entries).rehearse({ signal }));
      return plan;
    },
    /** When it resolves, this process shows it. @throws as `plan` */
    async apply({ resources: declared, entries, options }: DeclaredSet, signal: AbortSignal): Promise<Applied> {
      const declaration = registration.declare(entries);
      const alongside: ApplyOptions['alongside'] = async (trx, effects) =>
        refuseBad(entries, await declaration.write(trx, effects));
      const answer = applied(await resources.apply(declared, { ...options, signal, alongside }));
      await declaration.committed();
      return answer;
    },
  };
}

/** What the ledger keeps of it: names before, changes after. */
export function auditOfApply({ resources, entries, options }: NamedSet): {
  readonly detail: LedgerEvent['detail'];
  readonly outcome: (answer: Applied) => LedgerEvent['detail'];
} {
  const { prune, remove = [] } = options;
  const named = [...resources, ...remove].map(({ kind, name }) => `${kind}/${name}`);
  const names = [...named, ...entries.map(({ id }) => `Entry/${id}`)].slice(0, AUDITED_NAMES_MAX);
  return { detail: { prune, names }, outcome: (answer) => outcomeOf(answer, entries) };
}

/** @throws ApplyRefused */
function applied(plan: Plan): Applied {
  if (plan.ok) return { changes: plan.changes, revision: plan.revision, plan: plan.tag };
  throw new ApplyRefused(
    '',
    plan.problems.map(({ kind, name, message }) => ({ path: `${kind}/${name}`, message })),
  );
}

/** As the ledger has it. */
function outcomeOf({ revision, changes }: Applied, entries: NamedSet['entries']): LedgerEvent['detail'] {
  const changed = changes.map(({ kind, name, action }) => `${action} ${kind}/${name}`);
  const written = entries.slice(0, AUDITED_NAMES_MAX).map(({ id }) => `write Entry/${id}`);
  return { revision, changes: [...changed, ...written], differences: differencesOfPolicies(changes) };
}

/** What became of policies, line by line, as far as an entry has room: what a policy was is kept nowhere else. */
function differencesOfPolicies(changes: readonly Change[]): string[] {
  const lines = changes.flatMap(({ kind, name, differences }) =>
    kind === 'Policy' ? differences.map((line) => `${name}: ${line}`) : [],
  );
  let room = AUDITED_DIFFERENCES_BYTES_MAX;
  const shown = lines.findIndex((line) => {
    room -= Buffer.byteLength(line);
    return room < 0;
  });
  return shown < 0 ? lines : [...lines.slice(0, shown), `… and ${lines.length - shown} more lines`];
}

/** Refuses all when the server takes one of them not; thrown in a transaction, it undoes that. @throws ApplyRefused */
function refuseBad(inputs: readonly EntryInput[], results: readonly EntryResult[]): void {
  const problems = results.flatMap((result, index) =>
    result.status === 'ok' ? [] : [{ path: `Entry/${inputs[index]?.id}`, message: result.message }],
  );
  if (problems.length > 0) throw new ApplyRefused('nothing was applied:\n', problems);
}

/** More would not fit a ledger entry. */
const AUDITED_NAMES_MAX = 1000;
/** A long policy, and a small part of what an entry may hold. */
const AUDITED_DIFFERENCES_BYTES_MAX = 16 * 1024;
/** A screenful; the rest shows once these are mended. */
const PROBLEMS_TOLD_MAX = 20;
