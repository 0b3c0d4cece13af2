import type { RefusalReason } from './plan.ts';

/** What a refusal needs beyond its reason. */
export interface RefusalDetail {
  readonly hint?: string;
  readonly position?: number;
  /** Of what can't be found: bytes before it in the statement's text. */
  readonly location?: number | undefined;
  readonly policies?: readonly string[];
  /** Where the reason's own isn't PostgreSQL's for this case. */
  readonly sqlstate?: string;
}

/**
 * Unwinds the walk of a text that is refused; the planner turns it into a plan. It never leaves this folder: for callers a refusal is
 * an answer, not a failure.
 */
export class RefusedText extends Error {
  readonly reason: RefusalReason;
  readonly detail: RefusalDetail;

  constructor(reason: RefusalReason, message: string, detail: RefusalDetail = {}) {
    super(message);
    this.name = 'RefusedText';
    this.reason = reason;
    this.detail = detail;
  }
}

/** SQLSTATE of each reason: PostgreSQL's own where it has one for the case, else insufficient_privilege. */
export const sqlstates: Readonly<Record<RefusalReason, string>> = {
  'text-too-long': '54000',
  'text-not-at-once': '54000',
  'text-malformed': '22021',
  'text-too-deep': '54001',
  'syntax-error': '42601',
  'several-statements': '42601',
  'statement-not-understood': '0A000',
  'statement-refused': '42501',
  'policy-denied': '42501',
  revoked: '42501',
  quarantined: '42501',
  'revocations-stale': '42501',
  'unknown-relation': '42P01',
  'unknown-column': '42703',
  'unknown-function': '42883',
  'unknown-prepared': '26000',
  'unknown-cursor': '34000',
  'ambiguous-relation': '42P09',
  'name-taken': '42P07',
  'uncertain-name': '42602',
  'session-limit': '54000',
  'over-limit': '54000',
  'approval-needed': '42501',
  'approval-denied': '42501',
  'approval-expired': '57014',
  'approval-withdrawn': '57014',
  'approval-refused': '58000',
  'server-file': '42501',
  'setting-refused': '42501',
  'restricted-relation': '42501',
  'restricted-function': '42501',
  'masked-column-use': '42501',
  'mask-without-column': '42501',
  'unproven-function': '42501',
  'unproven-operator': '42501',
  'unproven-cast': '42501',
  'unproven-rule': '42501',
  'masked-ddl': '42501',
};

/** The refusal of a construct that no rule covers. */
export function notUnderstood(what: string): RefusedText {
  return new RefusedText('statement-not-understood', `${what} is not understood here, so it is not forwarded`);
}

/** The refusal of a masked column that is used otherwise than to be shown; `name` where it has one. */
export function maskedUse(name?: string): RefusedText {
  const what = name === undefined ? 'a masked column' : `"${name}" is or holds a masked column, which`;
  return new RefusedText('masked-column-use', `${what} may only be selected as it is, not used otherwise`, {
    hint: 'Name masked columns directly in the outermost select list, with their table where there are several, and nowhere else in the statement.',
  });
}
