import type { StatementPlan } from '../plan.ts';

/**
 * What is recorded of a statement is its whole text, with what stands beside it: in full only where that is allowed of all that ask policy
 * anything, and its digest only where none of them carries a password. What was one plan stays one.
 */
export function recordedAlike(statements: readonly StatementPlan[]): readonly StatementPlan[] {
  const asking = statements.filter(({ touches }) => touches.length > 0);
  if (asking.length === 0) return statements;
  const isSecret = asking.some((statement) => statement.record === 'nothing');
  const isFull = asking.every((statement) => statement.record === 'full');
  const record = isSecret ? 'nothing' : isFull ? 'full' : 'digest';
  const changed = new Map<StatementPlan, StatementPlan>();
  return statements.map((statement) => {
    if (statement.record === record) return statement;
    const other = changed.get(statement) ?? { ...statement, record };
    changed.set(statement, other);
    return other;
  });
}
