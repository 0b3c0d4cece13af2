import type { StatementPlan } from '../plan.ts';

/** Statements of a text, one after the other, that are one operation: nothing but their values tells them apart. */
export interface Run {
  readonly plan: StatementPlan;
  readonly statements: number;
}

/**
 * The runs of a text's statements. Only a long text has any of more than one (see `planLong`, which gives alike statements one plan): a text of
 * a million inserts is not a million entries of the ledger.
 */
export function runsOf(statements: readonly StatementPlan[]): readonly Run[] {
  const runs: { plan: StatementPlan; statements: number }[] = [];
  for (const plan of statements) {
    const last = runs.at(-1);
    if (last?.plan === plan && isPlain(plan)) last.statements += 1;
    else runs.push({ plan, statements: 1 });
  }
  return runs;
}

/** True when the second may stand under the plan of the first. */
export function isAlike(a: StatementPlan, b: StatementPlan): boolean {
  if (!isPlain(a) || !isPlain(b)) return false;
  return a === b || likenessOf(a) === likenessOf(b);
}

/** Nothing has to be done to its answer, and nothing follows from it for those behind it. */
function isPlain({
  masks,
  judged,
  copy,
  reads,
  effects,
  changesCatalog,
  needsValues,
  unknown,
}: StatementPlan): boolean {
  const isLimited = Object.keys(judged.limits).some((unit) => unit !== 'rate' && unit !== 'sessions');
  const isUntouched = masks === undefined && !isLimited && copy === undefined && reads === undefined;
  return isUntouched && effects.length === 0 && !changesCatalog && !needsValues && unknown.length === 0;
}

/** All that is left of a plain plan. */
function likenessOf(plan: StatementPlan): string {
  const known = likenesses.get(plan);
  if (known !== undefined) return known;
  // What was asked is told by shape, tables and answers.
  const { judged: _, ...rest } = plan;
  const likeness = JSON.stringify(rest);
  likenesses.set(plan, likeness);
  return likeness;
}

const likenesses = new WeakMap<StatementPlan, string>();
