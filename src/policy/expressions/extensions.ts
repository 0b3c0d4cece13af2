import { EvaluationError } from './evaluation-error.ts';
import { type IpRange, inRange, isLoopback, isMulticast, parseIp } from './ip.ts';
import { addLong, divideLong, floorModulo, longOf, subtractLong } from './long.ts';
import { parseDatetime, parseDuration } from './time.ts';
import { EXTENSION, kindOf, type Long, typeError, type Value } from './values.ts';

/** A value of one of Cedar's extension types. Equal values of a kind have equal keys. */
export type Extension = NumberExtension | IpExtension;

/** `decimal`: ten-thousandths; `datetime`: milliseconds since 1970; `duration`: milliseconds. */
export interface NumberExtension {
  readonly [EXTENSION]: true;
  readonly kind: 'decimal' | 'datetime' | 'duration';
  readonly key: Long;
}

/** An address, or a range in CIDR form. */
export interface IpExtension {
  readonly [EXTENSION]: true;
  readonly kind: 'ipaddr';
  readonly key: string;
  readonly range: IpRange;
}

/** A function or method of the extension types: how many arguments (the receiver is the first) and what it gives. */
export interface ExtensionFunction {
  readonly arity: 1 | 2;
  call(first: Value, second: Value): Value;
}

/** The constructor of an extension type by the name of the type in schemas. */
export const constructorOf = { decimal: 'decimal', ipaddr: 'ip', datetime: 'datetime', duration: 'duration' } as const;

/** Every extension function of Cedar 4. */
export const extensionFunctions: ReadonlyMap<string, ExtensionFunction> = new Map<string, ExtensionFunction>([
  ['decimal', unary((text) => decimal(text))],
  ['lessThan', compareDecimals((a, b) => a < b)],
  ['lessThanOrEqual', compareDecimals((a, b) => a <= b)],
  ['greaterThan', compareDecimals((a, b) => a > b)],
  ['greaterThanOrEqual', compareDecimals((a, b) => a >= b)],
  ['ip', unary((text) => ip(text))],
  ['isIpv4', unary((value) => range(value).bits === 32)],
  ['isIpv6', unary((value) => range(value).bits === 128)],
  ['isLoopback', unary((value) => isLoopback(range(value)))],
  ['isMulticast', unary((value) => isMulticast(range(value)))],
  ['isInRange', binary((a, b) => inRange(range(a), range(b)))],
  ['datetime', unary((text) => numeric('datetime', parseDatetime(stringOf(text))))],
  ['duration', unary((text) => numeric('duration', parseDuration(stringOf(text))))],
  ['offset', binary((a, b) => numeric('datetime', addLong(numberOf('datetime', a), numberOf('duration', b))))],
  [
    'durationSince',
    binary((a, b) => numeric('duration', subtractLong(numberOf('datetime', a), numberOf('datetime', b)))),
  ],
  ['toDate', unary((value) => toDate(numberOf('datetime', value)))],
  ['toTime', unary((value) => numeric('duration', floorModulo(numberOf('datetime', value), DAY_MS)))],
  ['toMilliseconds', unary((value) => numberOf('duration', value))],
  ['toSeconds', durationIn(1000)],
  ['toMinutes', durationIn(60_000)],
  ['toHours', durationIn(3_600_000)],
  ['toDays', durationIn(86_400_000)],
]);

/** A `datetime`. */
export function datetimeOf(epochMs: Long): NumberExtension {
  return numeric('datetime', epochMs);
}

/** The number behind a decimal, datetime or duration. @throws EvaluationError when `value` is of another kind */
export function numberOf(kind: NumberExtension['kind'], value: Value): Long {
  if (typeof value === 'object' && EXTENSION in value && isNumeric(value) && value.kind === kind) return value.key;
  throw typeError(kind, value);
}

/** Datetimes and durations compare by `<`, among their own kind; undefined for every other value. */
export function instantOf(value: Value): NumberExtension | undefined {
  if (typeof value !== 'object' || !(EXTENSION in value) || !isNumeric(value)) return undefined;
  return value.kind === 'decimal' ? undefined : value;
}

function isNumeric(value: object): value is NumberExtension {
  return 'kind' in value && value.kind !== 'ipaddr';
}

function numeric(kind: NumberExtension['kind'], key: Long): NumberExtension {
  return { [EXTENSION]: true, kind, key };
}

function decimal(value: Value): NumberExtension {
  const text = stringOf(value);
  const match = text.length > DECIMAL_TEXT_MAX ? null : DECIMAL.exec(text);
  if (match === null)
    throw new EvaluationError('a decimal has digits on both sides of its point, at most four after it');
  const [, sign = '', whole = '', part = ''] = match;
  return numeric('decimal', longOf(BigInt(`${whole}${part.padEnd(4, '0')}`) * (sign === '-' ? -1n : 1n)));
}

function ip(value: Value): IpExtension {
  const parsed = parseIp(stringOf(value));
  if (parsed === undefined) throw new EvaluationError('this is no IP address or CIDR range');
  return { [EXTENSION]: true, kind: 'ipaddr', key: `${parsed.bits}:${parsed.address}/${parsed.prefix}`, range: parsed };
}

function range(value: Value): IpRange {
  if (typeof value === 'object' && EXTENSION in value && 'range' in value) {
    // Only IpExtension carries the mark and a range; the union of records and extensions hides that from the compiler.
    return value.range as IpRange;
  }
  throw typeError('ipaddr', value);
}

function toDate(ms: Long): NumberExtension {
  return numeric('datetime', subtractLong(ms, floorModulo(ms, DAY_MS)));
}

function stringOf(value: Value): string {
  if (typeof value === 'string') return value;
  throw new EvaluationError(`expected string, got ${kindOf(value)}`);
}

function unary(call: (value: Value) => Value): ExtensionFunction {
  return { arity: 1, call };
}

function binary(call: (a: Value, b: Value) => Value): ExtensionFunction {
  return { arity: 2, call };
}

function compareDecimals(test: (a: Long, b: Long) => boolean): ExtensionFunction {
  return binary((a, b) => test(numberOf('decimal', a), numberOf('decimal', b)));
}

function durationIn(unitMs: number): ExtensionFunction {
  return unary((value) => divideLong(numberOf('duration', value), unitMs));
}

const DECIMAL = /^(-?)(\d+)\.(\d{1,4})$/;
/** A sign, nineteen digits and a point: more is only leading zeros. */
const DECIMAL_TEXT_MAX = 64;
const DAY_MS = 86_400_000;
