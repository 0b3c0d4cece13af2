/** What the requests direction asks of plans. */
import type { PlanStamp } from './replies.ts';
import { areSameNames, type Forward, type StatementPlan, type Withholding } from './sql/index.ts';

/** What errors about a whole plan may tell. */
export function withholdingOf({ statements }: Forward, hasOwnTypes = false): Withholding {
  // A domain's check runs as soon as a value is bound.
  const mayTell = statements.some(({ isMasking, withhold }) => withhold === 'values' || (hasOwnTypes && isMasking));
  return mayTell ? 'values' : 'nothing';
}

/** True when a plan made then would be made again now. */
export function sameStamp(a: PlanStamp, b: PlanStamp): boolean {
  return a.policyVersion === b.policyVersion && a.catalogVersion === b.catalogVersion && areSameNames(a.facts, b.facts);
}

/** True of a statement that changes the encoding and nothing else. */
export function setsEncoding({ effects }: StatementPlan): boolean {
  return effects.length > 0 && effects.every(({ kind }) => kind === 'encoding' || kind === 'transaction');
}
