import type { PolicyProblem, PolicySummary } from '../types.ts';
import { placeOfAnnotation } from './find-in-text.ts';

/** What an operation lacks that such rules are for, as clients and operators are told it. */
export function approvalText(rules: readonly string[]): string {
  const named = rules.map((rule) => JSON.stringify(rule)).join(' and ');
  return `needs an approval by rule ${named}`;
}

/** Said of a permit that wants an approval of sessions: none is held, so it refuses, and others on the same with it. */
export function approvalWarning(
  summary: PolicySummary,
  of: { rule: string; actions: readonly string[] },
): PolicyProblem {
  return {
    severity: 'warning',
    code: 'ERR_POLICY_APPROVAL',
    message: `by permit ${JSON.stringify(summary.id)} ${of.actions.join(', ')} ${approvalText([of.rule])}; sessions are not held for one, so they are refused`,
    help: 'name what is done in the session, in a permit of its own with @approval, and let this one go without',
    policy: summary.id,
    position: placeOfAnnotation(summary, 'approval'),
  };
}
