import type { BudgetedCache } from '../../../../../std/index.ts';
import type { Plan, StatementFacts, StatementPlan } from '../plan.ts';

/** Verdicts by key, as long as the budget lets them be kept. */
export interface VerdictCache {
  take(key: string): Plan | undefined;
  keep(key: string, plan: Plan): void;
  /** Of an older version of policy or catalog none is asked for again. */
  clear(): void;
}

export function createVerdictCache(plans: BudgetedCache<Plan>): VerdictCache {
  return {
    take: (key) => plans.take(key),
    keep(key, plan) {
      if (key.length <= keyLengthMax) plans.keep(key, plan, bytesOf(plan));
    },
    clear: () => plans.clear(),
  };
}

function bytesOf(plan: Plan): number {
  const bytes = plan.statements.reduce((sum: number, statement) => sum + factBytes(statement), PLAN_BYTES);
  if (plan.verdict === 'refuse') return bytes + plan.policies.length * WORD_BYTES;
  const more = plan.statements.reduce((sum, statement) => sum + planBytes(statement), 0);
  const texts = (plan.prepared?.text.length ?? 0) + (plan.rewritten?.sql.length ?? 0);
  return bytes + more + texts * 2;
}

function factBytes({ touches, judged }: StatementFacts): number {
  const asked = judged.asked.reduce((sum, { question: { context } }) => {
    const { columns } = context;
    return sum + ASKED_BYTES + (Array.isArray(columns) ? columns.length * WORD_BYTES : 0);
  }, 0);
  return STATEMENT_BYTES + touches.length * TOUCH_BYTES + asked;
}

function planBytes({ policies, masks, effects }: StatementPlan): number {
  const masked = masks === undefined ? 0 : masks.byAttribute.size + masks.relations.size;
  return policies.length * WORD_BYTES + (masked + effects.length) * TOUCH_BYTES;
}

/** Longer texts are mostly bulk data, seen once; parsing them is what costs, and keeping them would push out what comes again. */
export const keyLengthMax = 16_384;
const PLAN_BYTES = 200;
const STATEMENT_BYTES = 400;
/** An action, and the id of a resource. */
const TOUCH_BYTES = 250;
const WORD_BYTES = 60;
/** A question with its table and what that is in, its answer, and their text for the ledger. */
const ASKED_BYTES = 1_200;
