/** What tests ask of plans. */
import { applySessionEffects, noSessionFacts, type Plan, type SessionFacts, type StatementPlan } from '../index.ts';
import type { Shop } from './shop.ts';

export const reasonOf = (plan: Plan): string => (plan.verdict === 'refuse' ? plan.reason : 'forward');

export const touchesOf = (plan: Plan): readonly string[] =>
  plan.statements.flatMap(({ touches }) => touches.map(({ action, resource }) => `${action} ${resource}`));

/** The first statement of a plan that forwards. */
export function only(plan: Plan): StatementPlan {
  if (plan.verdict !== 'forward') throw new Error(`refused: ${plan.reason} ${plan.message}`);
  const [statement] = plan.statements;
  if (statement === undefined) throw new Error('no statement');
  return statement;
}

/** Plans texts one after the other, as if each had completed. */
export function inSession(shop: Shop, texts: readonly string[], as: string): readonly Plan[] {
  let session: SessionFacts = noSessionFacts;
  const plans: Plan[] = [];
  for (const sql of texts) {
    const plan = shop.plan(sql, { as, session });
    plans.push(plan);
    if (plan.verdict === 'forward')
      for (const { effects } of plan.statements) session = applySessionEffects(session, effects);
  }
  return plans;
}
