import { EvaluationError } from './evaluation-error.ts';
import type { Long } from './values.ts';

/** 64-bit arithmetic with overflow as an error. Plain numbers as long as they are exact. */

/** @throws EvaluationError on overflow */
export function addLong(a: Long, b: Long): Long {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return longOf(BigInt(a) + BigInt(b));
}

/** @throws EvaluationError on overflow */
export function subtractLong(a: Long, b: Long): Long {
  if (typeof a === 'number' && typeof b === 'number') {
    const difference = a - b;
    if (Number.isSafeInteger(difference)) return difference;
  }
  return longOf(BigInt(a) - BigInt(b));
}

/** @throws EvaluationError on overflow */
export function multiplyLong(a: Long, b: Long): Long {
  if (typeof a === 'number' && typeof b === 'number') {
    const product = a * b;
    // -0 would be unlike 0 to Object.is and in print, though `===` takes them as one.
    if (Number.isSafeInteger(product)) return product + 0;
  }
  return longOf(BigInt(a) * BigInt(b));
}

/** @throws EvaluationError on overflow */
export function negateLong(a: Long): Long {
  return subtractLong(0, a);
}

/** Division that drops the rest toward zero; `b` is a positive safe integer. */
export function divideLong(a: Long, b: number): Long {
  return longOf(BigInt(a) / BigInt(b));
}

/** The rest of a division that rounds down: never negative. */
export function floorModulo(a: Long, b: number): number {
  const rest = BigInt(a) % BigInt(b);
  return Number(rest < 0n ? rest + BigInt(b) : rest);
}

/** The one form of a 64-bit integer. @throws EvaluationError when it is none */
export function longOf(exact: bigint): Long {
  if (exact < LONG_MIN || exact > LONG_MAX)
    throw new EvaluationError('integer overflow: the result does not fit 64 bits');
  const number = Number(exact);
  return Number.isSafeInteger(number) ? number : exact;
}

const LONG_MIN = -(2n ** 63n);
const LONG_MAX = 2n ** 63n - 1n;
