import {
  argumentOf,
  type ExprJson,
  expressionOf,
  fields,
  listOf,
  patternOf,
  type ScopeJson,
  type UidJson,
  uidOf,
} from './cedar-json.ts';
import { EntityValue, EXTENSION, isRecord, isSet, type Value } from './values.ts';

/** An expression in Cedar's notation, for people to read: brackets wherever they could matter. */
export function printExpression(expression: ExprJson): string {
  const [operator = '', operand] = Object.entries(expression)[0] ?? [];
  switch (operator) {
    case 'Value':
      return printLiteral(operand);
    case 'Var':
      return String(operand);
    case '!':
      return `!${printInner(argumentOf(operand))}`;
    case 'neg':
      return `-${printInner(argumentOf(operand))}`;
    case '.':
      return printAccess(operand);
    case 'has': {
      const { left, attr } = fields(operand);
      return `${printInner(expressionOf(left))} has ${Array.isArray(attr) ? attr.join('.') : printName(String(attr))}`;
    }
    case 'like': {
      const { left, pattern } = fields(operand);
      return `${printInner(expressionOf(left))} like ${printPattern(pattern)}`;
    }
    case 'is': {
      const { left, entity_type: type, in: place } = fields(operand);
      const inside = place === undefined ? '' : ` in ${printInner(expressionOf(place))}`;
      return `${printInner(expressionOf(left))} is ${String(type)}${inside}`;
    }
    case 'if-then-else': {
      const { if: condition, then, else: otherwise } = fields(operand);
      const [a, b, c] = [condition, then, otherwise].map((part) => printExpression(expressionOf(part)));
      return `if ${a} then ${b} else ${c}`;
    }
    case 'isEmpty':
      return `${printInner(argumentOf(operand))}.isEmpty()`;
    case 'Set':
      return `[${listOf(operand).map(printExpression).join(', ')}]`;
    case 'Record':
      return `{${Object.entries(fields(operand))
        .map(([name, part]) => `${printName(name)}: ${printExpression(expressionOf(part))}`)
        .join(', ')}}`;
    default:
      return Array.isArray(operand) ? printCall(operator, listOf(operand)) : printPair(operator, operand);
  }
}

/** One part of a scope: `principal is Identity in TrustDomain::"example.org"`. */
export function printScope(variable: 'principal' | 'resource', scope: ScopeJson): string {
  switch (scope.op) {
    case 'All':
      return variable;
    case '==':
    case 'in':
      return `${variable} ${scope.op} ${printUid(scope.entity)}`;
    case 'is': {
      const inside = scope.in === undefined ? '' : ` in ${printUid(scope.in.entity)}`;
      return `${variable} is ${scope.entity_type}${inside}`;
    }
    default:
      return scope satisfies never;
  }
}

/** `Type::"id"`. */
export function printUid(uid: UidJson): string {
  return `${uid.type}::${JSON.stringify(uid.id)}`;
}

/** A value as a policy would write it. */
export function printValue(value: Value): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value !== 'object') return String(value);
  if (value instanceof EntityValue) return printUid(value);
  if (isSet(value)) return `[${value.map(printValue).join(', ')}]`;
  if (isRecord(value))
    return `{${Object.entries(value)
      .map(([name, one]) => `${printName(name)}: ${printValue(one)}`)
      .join(', ')}}`;
  if (EXTENSION in value && value.kind === 'datetime')
    return `datetime(${JSON.stringify(timeText(Number(value.key)))})`;
  return EXTENSION in value ? `${value.kind}(${String(value.key)})` : '';
}

/** As Cedar takes it, where its years have four digits. */
function timeText(epochMs: number): string {
  const date = new Date(epochMs);
  return Number.isNaN(date.getTime()) ? String(epochMs) : date.toISOString().replace('.000Z', 'Z');
}

function printPair(operator: string, operand: unknown): string {
  const { left, right } = fields(operand);
  const a = printInner(expressionOf(left));
  if (METHODS.has(operator)) return `${a}.${operator}(${printExpression(expressionOf(right))})`;
  return `${a} ${operator} ${printInner(expressionOf(right))}`;
}

/** Constructors are functions, the rest are methods of their first argument. */
function printCall(name: string, args: readonly ExprJson[]): string {
  const [first, ...others] = args;
  if (CONSTRUCTORS.has(name) || first === undefined) return `${name}(${args.map(printExpression).join(', ')})`;
  return `${printInner(first)}.${name}(${others.map(printExpression).join(', ')})`;
}

function printInner(expression: ExprJson): string {
  const [operator = ''] = Object.keys(expression);
  const text = printExpression(expression);
  return INFIX.has(operator) ? `(${text})` : text;
}

function printAccess(operand: unknown): string {
  const { left, attr } = fields(operand);
  const name = String(attr);
  return `${printInner(expressionOf(left))}${IDENTIFIER.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`}`;
}

function printLiteral(value: unknown): string {
  if (typeof value === 'object' && value !== null && '__entity' in value) return printUid(uidOf(value.__entity));
  return JSON.stringify(value) ?? '';
}

function printPattern(pattern: unknown): string {
  const pieces = patternOf(pattern).map((piece) =>
    piece === null ? '*' : JSON.stringify(piece).slice(1, -1).replaceAll('*', '\\*'),
  );
  return `"${pieces.join('')}"`;
}

function printName(name: string): string {
  return IDENTIFIER.test(name) ? name : JSON.stringify(name);
}

const IDENTIFIER = /^[A-Za-z_]\w*$/;
const METHODS = new Set(['contains', 'containsAll', 'containsAny', 'getTag', 'hasTag']);
const CONSTRUCTORS = new Set(['decimal', 'ip', 'datetime', 'duration']);
const INFIX = new Set([
  '&&',
  '||',
  '==',
  '!=',
  '<',
  '<=',
  '>',
  '>=',
  '+',
  '-',
  '*',
  'in',
  'is',
  'has',
  'like',
  'if-then-else',
  '!',
  'neg',
]);
