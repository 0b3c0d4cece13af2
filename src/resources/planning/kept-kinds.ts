import type { Kysely } from 'kysely';
import { sha256 } from '../../std/index.ts';
import type { TransactionEffects } from '../../store/index.ts';
import type { Kind, KindKeeper, Named } from '../kind.ts';
import type { Change, PlanOptions, Problem, Resource } from '../types.ts';
import { differencesOf } from './differences.ts';

/** What becomes of resources whose rows other features keep, planned within one transaction. */
export interface KeptPlan {
  /** As they were declared, those that are declared with them first; then those that go. */
  readonly changes: readonly Change[];
  /** Another text where something else would become of them, or they were changed since; empty where there is none. */
  readonly digest: string;
  /** Writes it, in the transaction. It is to be undone when there are problems; `committed` is to be called when it was not. */
  write(effects: TransactionEffects): Promise<{ readonly problems: readonly Problem[]; committed(): Promise<void> }>;
}

/** Whether some of what is declared, or is to be removed, is kept elsewhere. */
export function concernsKept(
  declared: readonly Resource[],
  { kinds, remove = [] }: Pick<PlanOptions, 'remove'> & { readonly kinds: readonly Kind[] },
): boolean {
  return [...declared, ...remove].some(({ kind }) => isKept(kind, kinds));
}

/** Whether rows of that kind are kept elsewhere. */
export function isKept(kind: string, kinds: readonly Kind[]): boolean {
  return kinds.some(({ name, keeper }) => name === kind && keeper !== undefined);
}

/** Looks what is there, and what will be. Reads those that are named, no others. */
export async function planKept(
  trx: Kysely<unknown>,
  declared: readonly Resource[],
  { kinds, remove = [] }: Pick<PlanOptions, 'remove'> & { readonly kinds: readonly Kind[] },
): Promise<KeptPlan> {
  const parts: Part[] = [];
  for (const kind of kinds) {
    if (kind.keeper === undefined) continue;
    const own = declared.filter((one) => one.kind === kind.name);
    const all = [...(kind.besides?.(own) ?? []), ...own];
    const names = new Set(all.map(({ name }) => name));
    const going = remove.filter((one) => one.kind === kind.name && !names.has(one.name)).map(({ name }) => name);
    if (all.length + going.length > 0) parts.push(await planPart(trx, { kind, keeper: kind.keeper, all, going }));
  }
  return {
    changes: parts.flatMap(({ changes }) => changes),
    digest: parts.length === 0 ? '' : digestOf(parts),
    async write(effects) {
      const problems: Problem[] = [];
      const written: { committed(): Promise<void> }[] = [];
      for (const { kind, keeper, put, gone } of parts) {
        if (put.length + gone.length === 0) continue;
        const done = await keeper.write(trx, effects, { put, remove: gone });
        written.push(done);
        problems.push(...done.problems.map((problem) => ({ kind, ...problem })));
      }
      const committed = async () => {
        for (const one of written) await one.committed();
      };
      return { problems, committed };
    },
  };
}

/** Those of one kind. */
interface Part {
  readonly kind: string;
  readonly keeper: KindKeeper;
  readonly changes: readonly Change[];
  readonly versions: readonly (readonly [name: string, version: number])[];
  readonly put: readonly Named[];
  readonly gone: readonly string[];
}

async function planPart(
  trx: Kysely<unknown>,
  { kind, keeper, all, going }: { kind: Kind; keeper: KindKeeper; all: readonly Named[]; going: readonly string[] },
): Promise<Part> {
  const compare = kind.differences ?? differencesOf;
  const present = await keeper.read(trx, [...all.map(({ name }) => name), ...going]);
  const changes = all.map(({ name, spec }): Change => {
    const old = present.get(name);
    const differences = compare(old?.spec, spec);
    const action = old === undefined ? 'create' : differences.length > 0 ? 'update' : 'unchanged';
    return { kind: kind.name, name, action, differences };
  });
  const gone = going.filter((name) => present.has(name));
  for (const name of gone) {
    const differences = compare(present.get(name)?.spec, undefined);
    changes.push({ kind: kind.name, name, action: 'delete', differences });
  }
  const put = all.filter((_, index) => changes[index]?.action !== 'unchanged');
  const versions = Array.from(present, ([name, { version }]) => [name, version] as const);
  return { kind: kind.name, keeper, changes, versions, put, gone };
}

function digestOf(parts: readonly Part[]): string {
  const told = parts.map(({ kind, changes, versions }) => ({
    kind,
    changes,
    versions: versions.toSorted(([a], [b]) => (a < b ? -1 : 1)),
  }));
  return sha256(Buffer.from(JSON.stringify(told)))
    .toString('base64url')
    .slice(0, DIGEST_CHARS);
}

/** 96 bits: it tells plans apart, and keeps nobody out. */
const DIGEST_CHARS = 16;
