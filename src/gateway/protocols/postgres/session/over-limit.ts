/** How limits of policy look to a PostgreSQL client. */
import type { Limits, ReachedLimit } from '../../../../model/index.ts';
import type { ErrorText } from '../../../../wire/postgres/index.ts';
import type { ReachedQuota } from '../../../sessions/quotas.ts';
import type { Refusal, Run, StatementPlan } from '../sql/index.ts';
import type { Execution } from './replies.ts';

/** The error that stands in place of the rest of an answer. */
export function overLimitError({ unit, most }: ReachedLimit, { plan }: Pick<Execution, 'plan'>): ErrorText {
  const { sqlstate, message, hint } = OVER[unit];
  const detail = plan.writes ? 'The statement itself may have been carried out.' : undefined;
  return { severity: 'ERROR', sqlstate, message: `${message} (${textOf(unit, most)})`, detail, hint };
}

/** Refuses a statement that would need more than is left of what policy allows over time. */
export function quotaRefusal(reached: ReachedQuota, statements: readonly StatementPlan[]): Refusal {
  const { policy, most, retryMs } = reached;
  return {
    ...OVER_LIMIT,
    sqlstate: OVER.rate.sqlstate,
    message: `${OVER.rate.message} (${most} a minute)`,
    hint: retryMs === undefined ? OVER.rate.hint : `Try again in ${Math.ceil(retryMs / 1000)} s.`,
    policies: [policy],
    statements,
    limit: { unit: 'rate', most },
  };
}

/** Refuses statements whose message is larger than policy allows one of them; undefined: it is not. */
export function sizeRefusal(bytes: number, runs: readonly Run[]): Refusal | undefined {
  const { plan } = runs.find(({ plan: { judged } }) => bytes > (judged.limits.bytesIn ?? Infinity)) ?? {};
  const bytesIn = plan?.judged.limits.bytesIn;
  if (plan === undefined || bytesIn === undefined) return undefined;
  const { sqlstate, message, hint } = OVER.bytesIn;
  return {
    ...OVER_LIMIT,
    ...{ sqlstate, hint, message: `${message} (${bytesIn} bytes)`, statements: [plan] },
    limit: { unit: 'bytesIn', most: bytesIn },
  };
}

/** A session more than policy allows at once. */
export function sessionsReached({ most }: ReachedLimit): ErrorText {
  const { sqlstate, message, hint } = OVER.sessions;
  return { severity: 'FATAL', sqlstate, message: `${message} (${most})`, hint };
}

/** The limit that one more piece of an answer would pass. */
export function passedBy(
  limits: Limits,
  had: { readonly rows: number; readonly bytes: number },
): ReachedLimit | undefined {
  const { items, bytesOut } = limits;
  if (items !== undefined && had.rows >= items) return { unit: 'items', most: items };
  if (bytesOut !== undefined && had.bytes > bytesOut) return { unit: 'bytesOut', most: bytesOut };
  return undefined;
}

function textOf(unit: ReachedLimit['unit'], most: number): string {
  if (unit === 'duration') return `${most} ms`;
  return unit === 'bytesIn' || unit === 'bytesOut' ? `${most} bytes` : String(most);
}

const OVER_LIMIT = { verdict: 'refuse', reason: 'over-limit', policies: [] } as const;
const OVER: Readonly<Record<ReachedLimit['unit'], { sqlstate: string; message: string; hint: string }>> = {
  items: {
    sqlstate: '54000',
    message: 'the answer has more rows than policy allows',
    hint: 'Ask for fewer rows, by LIMIT or a narrower condition.',
  },
  bytesOut: {
    sqlstate: '54000',
    message: 'the answer has more bytes than policy allows',
    hint: 'Ask for fewer rows or columns.',
  },
  bytesIn: {
    sqlstate: '54000',
    message: 'the statement and its data have more bytes than policy allows',
    hint: 'Send the data in parts, in statements of their own.',
  },
  duration: {
    sqlstate: '57014',
    message: 'the statement took longer than policy allows, and was stopped',
    hint: 'Ask for less at once.',
  },
  rate: {
    sqlstate: '53400',
    message: 'these are more operations than policy allows a minute',
    hint: 'Send them in parts, a minute between.',
  },
  sessions: {
    sqlstate: '53300',
    message: 'these are more sessions at once than policy allows',
    hint: 'Close what is not used; a pool of this identity has to be smaller.',
  },
};
