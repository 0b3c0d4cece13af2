import { argumentOf, type ExprJson, expressionOf, fields, type PolicyJson } from './cedar-json.ts';

/** An attribute of the request, directly on one of its three parts. */
export interface EqualityKey {
  readonly variable: 'principal' | 'resource' | 'context';
  readonly attribute: string;
}

/**
 * The attributes that a policy compares with a literal, and can not match unless they are equal: `when { context.x == "a" && … }`.
 * Collecting stops at the first part of a condition that could fail with an error, because a policy that fails must be found so.
 */
export function conjunctsOf(
  json: PolicyJson,
): { readonly key: EqualityKey; readonly value: boolean | number | string }[] {
  const found: { key: EqualityKey; value: boolean | number | string }[] = [];
  for (const { kind, body } of json.conditions) {
    for (const part of kind === 'when' ? flatten(body) : [body]) {
      const equality = kind === 'when' ? equalityOf(part) : undefined;
      if (equality !== undefined) found.push(equality);
      else if (!isInfallible(part)) return found;
    }
  }
  return found;
}

/** `a && b && c` as a list, in the order of evaluation. Iterative to the left: that is where long chains grow. */
function flatten(expression: ExprJson): ExprJson[] {
  const parts: ExprJson[] = [];
  const open = [expression];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (!('&&' in next)) {
      parts.push(next);
      continue;
    }
    const { left, right } = fields(next['&&']);
    open.push(expressionOf(right), expressionOf(left));
  }
  return parts;
}

function equalityOf(expression: ExprJson): { key: EqualityKey; value: boolean | number | string } | undefined {
  if (!('==' in expression)) return undefined;
  const { left, right } = fields(expression['==']);
  return pairOf(expressionOf(left), expressionOf(right)) ?? pairOf(expressionOf(right), expressionOf(left));
}

function pairOf(attribute: ExprJson, literal: ExprJson) {
  const key = keyOf(attribute);
  const value = literal['Value'];
  if (key === undefined || (typeof value !== 'string' && typeof value !== 'boolean' && typeof value !== 'number'))
    return undefined;
  return { key, value };
}

/** The attribute that an expression reads, if it is directly one of a part of the request. */
export function keyOf(expression: ExprJson): EqualityKey | undefined {
  if (!('.' in expression)) return undefined;
  const { left, attr } = fields(expression['.']);
  const variable = expressionOf(left)['Var'];
  if (typeof attr !== 'string' || (variable !== 'principal' && variable !== 'resource' && variable !== 'context'))
    return undefined;
  return { variable, attribute: attr };
}

/**
 * True when a validated expression always has a value for a request that fits the schema. Errors are left to arithmetic (overflow),
 * extension functions, and attributes of entities that the request does not bring; so only attributes of its own parts count.
 */
export function isInfallible(expression: ExprJson): boolean {
  const [operator = '', operand] = Object.entries(expression)[0] ?? [];
  if (operator === 'Value' || operator === 'Var') return true;
  if (operator === '.') return keyOf(expression) !== undefined;
  if (operator === '!' || operator === 'isEmpty') return isInfallible(argumentOf(operand));
  if (operator === 'Set')
    return Array.isArray(operand) && operand.every((element) => isInfallible(expressionOf(element)));
  if (!INFALLIBLE.has(operator)) return false;
  const { left, right, in: place } = fields(operand);
  return [left, right, place].every((part) => part === undefined || isInfallible(expressionOf(part)));
}

/** Operators on `left`, `right` and `in` that have a value for operands of the right type. */
const INFALLIBLE = new Set([
  '==',
  '!=',
  'in',
  'is',
  'has',
  'like',
  '<',
  '<=',
  '>',
  '>=',
  '&&',
  '||',
  'contains',
  'containsAll',
  'containsAny',
  'hasTag',
]);
