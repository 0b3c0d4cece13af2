import { type ExprJson, expressionOf, fields, listOf, type PolicyJson } from '../expressions/cedar-json.ts';
import { compileExpression } from '../expressions/compile-expression.ts';
import { numberOf } from '../expressions/extensions.ts';
import { isExtension } from '../expressions/values.ts';

/** The moments at which what a policy answers may change by itself. Policies see whole seconds, so each is one. */
export interface PolicyTimes {
  /** Epoch milliseconds. */
  readonly at: readonly number[];
  /** Each day, milliseconds after midnight UTC. */
  readonly daily: readonly number[];
  /** It may be any second. */
  readonly always: boolean;
}

/** Finds them in a policy's expiry and conditions: comparisons of the time with what is fixed have theirs, all else may change any second. */
export function timesOf(json: PolicyJson, expiresMs: number | undefined): PolicyTimes {
  const found: Found = { at: new Set(expiresMs === undefined ? [] : [expiresMs]), daily: new Set(), always: false };
  for (const { body } of json.conditions) visit(body, found);
  return { at: Array.from(found.at), daily: Array.from(found.daily), always: found.always };
}

/** Answers, for a set of policies, what `CompiledPolicies.nextChange` does. */
export function createTimetable(all: readonly PolicyTimes[]): (timeMs: number) => number | undefined {
  const at = Array.from(new Set(all.flatMap((one) => one.at))).sort((a, b) => a - b);
  const daily = Array.from(new Set(all.flatMap((one) => one.daily)));
  const isAlways = all.some((one) => one.always);
  if (at.length === 0 && daily.length === 0 && !isAlways) return () => undefined;
  return (timeMs) => {
    const midnight = Math.floor(timeMs / DAY_MS) * DAY_MS;
    const next = [
      at[firstAfter(at, timeMs)] ?? Number.POSITIVE_INFINITY,
      ...daily.map((ms) => (midnight + ms > timeMs ? midnight + ms : midnight + DAY_MS + ms)),
    ].reduce((a, b) => Math.min(a, b));
    return isAlways ? Math.min(next, nextSecond(timeMs + 1)) : next;
  };
}

interface Found {
  readonly at: Set<number>;
  readonly daily: Set<number>;
  always: boolean;
}

function visit(node: unknown, found: Found): void {
  if (typeof node !== 'object' || node === null) return;
  if (Array.isArray(node)) {
    for (const one of node) visit(one, found);
    return;
  }
  for (const [operator, operand] of Object.entries(node)) {
    if (operator === 'Value') continue;
    if (operator === 'Var') {
      // The whole of it, with the time in it.
      if (operand === 'context') found.always = true;
    } else if (operator === '.' || operator === 'has') {
      const { left, attr } = fields(operand);
      if (fields(left)['Var'] !== 'context') visit(left, found);
      else if (operator === '.' && attr === 'time') found.always = true;
    } else if (!(COMPARING.has(operator) && compares(fields(operand), found))) {
      visit(operator === 'Record' ? Object.values(fields(operand)) : operand, found);
    }
  }
}

/** A comparison of the time, of its day or of its time of day with what is fixed: true when it is one, and its moments are found. */
function compares({ left, right }: ExprJson, found: Found): boolean {
  for (const [side, other] of [
    [expressionOf(left), expressionOf(right)],
    [expressionOf(right), expressionOf(left)],
  ] as const) {
    const kind = timeRead(side);
    const fixed = kind === undefined ? undefined : fixedMs(other, kind === 'time of day' ? 'duration' : 'datetime');
    if (fixed === undefined) continue;
    // Equal from then on, and no longer from the next step on.
    if (kind === 'time') for (const ms of [fixed, fixed + 1]) found.at.add(nextSecond(ms));
    else if (kind === 'day') for (const ms of [fixed, fixed + 1]) found.at.add(Math.ceil(ms / DAY_MS) * DAY_MS);
    else
      for (const ms of [0, fixed, fixed + 1]) found.daily.add(nextSecond(Math.min(Math.max(ms, 0), DAY_MS)) % DAY_MS);
    return true;
  }
  return false;
}

/** `context.time`, `context.time.toDate()`, `context.time.toTime()`. */
function timeRead(expression: ExprJson): 'time' | 'day' | 'time of day' | undefined {
  if ('.' in expression) {
    const { left, attr } = fields(expression['.']);
    return attr === 'time' && fields(left)['Var'] === 'context' ? 'time' : undefined;
  }
  const [operator = '', operand] = Object.entries(expression)[0] ?? [];
  if ((operator !== 'toDate' && operator !== 'toTime') || !Array.isArray(operand)) return undefined;
  const [of] = listOf(operand);
  if (of === undefined || timeRead(of) !== 'time') return undefined;
  return operator === 'toDate' ? 'day' : 'time of day';
}

/** Undefined for what is not fixed, and for what is too far away to be counted in milliseconds exactly: that may be any second. */
function fixedMs(expression: ExprJson, kind: 'datetime' | 'duration'): number | undefined {
  const { literal } = compileExpression(expression);
  if (literal === undefined || !isExtension(literal) || literal.kind !== kind) return undefined;
  const ms = Number(numberOf(kind, literal));
  return Math.abs(ms) <= FAR_MS ? ms : undefined;
}

function nextSecond(ms: number): number {
  return Math.ceil(ms / 1000) * 1000;
}

/** Index of the first of sorted numbers that is greater. */
function firstAfter(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

const COMPARING = new Set(['<', '<=', '>', '>=', '==', '!=']);
const DAY_MS = 86_400_000;
/** Years that have four digits, and some more. */
const FAR_MS = 1e15;
