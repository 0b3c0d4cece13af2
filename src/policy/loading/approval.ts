import type { PolicyProblem, PolicySummary } from '../types.ts';
import { placeOfAnnotation } from './find-in-text.ts';

/** What an operation lacks that such rules are for, as clients and operators are told it. */
export function approvalText(rules: readonly string[]): string {
  const named = rules.map((rule) => JSON.stringify(rule)).join(' and ');
  return `needs an approval by rule ${named}; approvals are not available yet`;
}

/** Said of each permit with an approval: it refuses, and others on the same with it. */
export function approvalWarning(summary: PolicySummary, rule: string): PolicyProblem {
  return {
    severity: 'warning',
    code: 'ERR_POLICY_APPROVAL',
    message: `what permit ${JSON.stringify(summary.id)} is about ${approvalText([rule])}, so it is refused`,
    help: 'take @approval away, or leave the permit out until then',
    policy: summary.id,
    position: placeOfAnnotation(summary, 'approval'),
  };
}
