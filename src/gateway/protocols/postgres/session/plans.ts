/** What the requests direction asks of plans. */

import {
  areSameNames,
  type Forward,
  type Plan,
  type Refusal,
  type StatementPlan,
  type Withholding,
} from '../sql/index.ts';
import type { PlanStamp, Prepared } from './replies.ts';
import { OTHER_MASKS } from './request-refusals.ts';

/** What errors about a whole plan may tell. */
export function withholdingOf({ statements }: Forward, hasOwnTypes = false): Withholding {
  // A domain's check runs as soon as a value is bound.
  const mayTell = statements.some(({ isMasking, withhold }) => withhold === 'values' || (hasOwnTypes && isMasking));
  return mayTell ? 'values' : 'nothing';
}

/** What is sent for a text that was planned so. */
export function textSent({ rewritten }: Forward, text: string): string {
  return rewritten?.sql ?? text;
}

/** A newer snapshot of the catalog may tell better. */
export function isRefreshable({ reason }: Refusal): boolean {
  return REFRESHABLE.has(reason);
}

const REFRESHABLE: ReadonlySet<Refusal['reason']> = new Set([
  ...(['unknown-relation', 'unknown-column', 'unknown-function', 'ambiguous-relation', 'mask-without-column'] as const),
]);

/** A plan made anew of what the target has already: refused when that is another text than the one judged now. */
export function sentAs<Made extends Plan | 'wait'>({ text, sent }: Prepared, plan: Made): Made | Refusal {
  const isOther = plan !== 'wait' && plan.verdict === 'forward' && textSent(plan, text) !== sent;
  return isOther ? OTHER_MASKS : plan;
}

/** True when a plan made then would be made again now. */
export function sameStamp(a: PlanStamp, b: PlanStamp): boolean {
  return a.policyVersion === b.policyVersion && a.catalogVersion === b.catalogVersion && areSameNames(a.facts, b.facts);
}

/** True of a statement that changes the encoding and nothing else. */
export function setsEncoding({ effects }: StatementPlan): boolean {
  return effects.length > 0 && effects.every(({ kind }) => kind === 'encoding' || kind === 'transaction');
}
