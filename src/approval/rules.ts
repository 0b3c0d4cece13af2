import type { AnswerRow } from './migrations.ts';
import type { Answerer, ApprovalRule, Approver, RuleTally } from './types.ts';

/** Whether somebody may answer by a rule. `owner`: of the identity that asks. Workloads answer only where a rule names them. */
export function mayAnswer({ approvers }: ApprovalRule, by: Answerer, owner: string | undefined): boolean {
  if (approvers.length === 0) return by.kind === 'person' || by.kind === 'operator';
  return approvers.some((one) => isApprover(one, by, owner));
}

function isApprover(one: Approver, by: Answerer, owner: string | undefined): boolean {
  switch (one.kind) {
    case 'group':
      return by.kind === 'person' && by.groups.includes(one.name);
    case 'email':
      return by.kind === 'person' && by.email === one.name;
    case 'person':
      return by.kind === 'person' && by.name === one.name;
    case 'identity':
      return by.kind === 'identity' && by.name === one.name;
    case 'operator':
      return isOperator(by);
    case 'owner':
      return by.kind === 'person' && owner !== undefined && [...by.groups, by.email, by.name].includes(owner);
    default:
      return one satisfies never;
  }
}

/**
 * Who counts once, whatever name they come by. Whoever has the operator's socket makes as many links for themselves as they like, so all of those
 * are one.
 */
export function voiceOf(by: Answerer): string {
  return isOperator(by) ? 'operator' : `${by.kind} ${by.name}`;
}

function isOperator({ kind, byLink }: Answerer): boolean {
  return kind === 'operator' || (kind === 'person' && byLink);
}

/** How far each of the rules is by the answers that were given. */
export function tally(
  names: readonly string[],
  answers: readonly Pick<AnswerRow, 'answer' | 'rules'>[],
  rules: (name: string) => ApprovalRule | undefined,
): readonly RuleTally[] {
  const approving = answers.filter(({ answer }) => answer === 'approve').map((one) => rulesOf(one));
  return names.map((name) => ({
    name,
    count: rules(name)?.count,
    approved: approving.filter((of) => of.includes(name)).length,
  }));
}

/** Whether nothing is missing. */
export function isEnough(tallies: readonly RuleTally[]): boolean {
  return tallies.length > 0 && tallies.every(({ count, approved }) => count !== undefined && approved >= count);
}

/** The names that a row has. */
export function rulesOf({ rules }: { readonly rules: string }): readonly string[] {
  return JSON.parse(rules);
}
