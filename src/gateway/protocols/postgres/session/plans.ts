/** What the requests direction asks of plans. */

import { unservedEncoding } from '../refusal.ts';
import {
  areSameNames,
  type BoundValue,
  encodingHint,
  type Forward,
  type Plan,
  type Refusal,
  type StatementPlan,
  type Withholding,
} from '../sql/index.ts';
import type { Conversation } from './conversation.ts';
import type { PlanStamp, Portal, Prepared } from './replies.ts';
import { MASKED_IN_UTF8, OTHER_MASKS, refusalOf } from './request-refusals.ts';

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

/** Refuses what the client's encoding stands against: the one that is asked for, or the one that is in force. */
export function servedInEncoding(plan: Plan, { encoding, deps }: Conversation): Plan {
  if (plan.verdict === 'refuse') return plan;
  for (const { effects } of plan.statements)
    for (const effect of effects)
      if (effect.kind === 'encoding' && !encoding.serves(effect.name)) {
        const { message, sqlstate } = unservedEncoding(effect.name ?? '', deps.encodings.server);
        return { ...refusalOf(sqlstate, 'setting-refused', message), hint: encodingHint };
      }
  const isMasking = plan.statements.some((statement) => statement.isMasking);
  if (encoding.coding.isUtf8 || !isMasking || plan.statements.every(setsEncoding)) return plan;
  return { ...refusalOf('42501', 'masked-column-use', MASKED_IN_UTF8), hint: encodingHint };
}

/** What is bound to its parameters, for statements that are judged by it. */
export function valuesBoundTo({ prepared, parameters, formats, read }: Portal): readonly BoundValue[] {
  return parameters.map((value, i) => ({
    type: prepared.parameterTypes[i] ?? 0,
    isBinary: (formats.length === 1 ? formats[0] : formats[i]) === 1,
    text: value && read(value),
  }));
}
