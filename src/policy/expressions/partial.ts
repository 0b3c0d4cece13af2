import { argumentOf, type ExprJson, expressionOf, fields, listOf } from './cedar-json.ts';
import { compileCondition } from './compile-expression.ts';
import { isInfallible } from './conjuncts.ts';
import { KnownEntity } from './values.ts';

/** What is known of a request before it is made; what is undefined could be anything that fits the schema, and so could its context. */
export interface PartialRequest {
  readonly action: KnownEntity;
  readonly principal: KnownEntity | undefined;
  readonly resource: KnownEntity | undefined;
  /** A set of the context of which one element is known: that a certain column is among those that are read. */
  readonly holds: { readonly attribute: string; readonly element: string } | undefined;
}

/** What is left of a condition: its value, `error` where it can only fail, or the expression that a whole request would settle. */
export type Reduced = boolean | 'error' | ExprJson;

/**
 * Evaluates a validated condition as far as what is known goes. For every request that fits what is known, what is left gives the value, or the
 * error, that the whole would have given.
 */
export function reduceCondition(expression: ExprJson, known: PartialRequest): Reduced {
  if (!dependsOnUnknown(expression, known)) return settle(expression, known);
  const [operator = '', operand] = Object.entries(expression)[0] ?? [];
  switch (operator) {
    case '!': {
      const inner = reduceCondition(argumentOf(operand), known);
      if (typeof inner === 'object') return { '!': { arg: inner } };
      return inner === 'error' ? inner : !inner;
    }
    case '&&':
      return reducePair(operator, operand, { known, goesOn: true });
    case '||':
      return reducePair(operator, operand, { known, goesOn: false });
    case 'if-then-else': {
      const { if: condition, then, else: otherwise } = fields(operand);
      const first = reduceCondition(expressionOf(condition), known);
      if (first === 'error') return first;
      if (typeof first === 'object') return expression;
      return reduceCondition(expressionOf(first ? then : otherwise), known);
    }
    default:
      return known.holds === undefined ? expression : (settleByElement(operator, operand, known.holds) ?? expression);
  }
}

/** Both sides of `&&` or `||`; `goesOn`: the value of the left side that lets the right one speak. */
function reducePair(
  operator: string,
  operand: unknown,
  { known, goesOn }: { readonly known: PartialRequest; readonly goesOn: boolean },
): Reduced {
  const { left, right } = fields(operand);
  const first = reduceCondition(expressionOf(left), known);
  if (first === 'error') return first;
  if (typeof first === 'boolean') return first === goesOn ? reduceCondition(expressionOf(right), known) : first;
  const second = reduceCondition(expressionOf(right), known);
  if (second === goesOn) return first;
  // Whatever the left side says then, unless it fails.
  if (second === !goesOn && isInfallible(first)) return second;
  return { [operator]: { left: first, right: typeof second === 'object' ? second : right } };
}

function settle(expression: ExprJson, known: PartialRequest): Reduced {
  const { action, principal = NOBODY, resource = NOBODY } = known;
  try {
    return compileCondition(expression)({ action, principal, resource, context: {}, timeMs: undefined });
  } catch {
    return 'error'; // Nothing it reads is unknown, so it fails for every request.
  }
}

/** What the one known element of a set says of a test on that set. */
function settleByElement(
  operator: string,
  operand: unknown,
  { attribute, element }: NonNullable<PartialRequest['holds']>,
): boolean | undefined {
  const isSet = (node: unknown) => {
    const { left, attr } = fields(fields(node)['.'] ?? {});
    return attr === attribute && left !== undefined && fields(left)['Var'] === 'context';
  };
  if (operator === 'isEmpty') return isSet(argumentOf(operand)) ? false : undefined;
  if (!SET_TESTS.has(operator)) return undefined;
  const { left, right } = fields(operand);
  if (operator === 'contains') return isSet(left) && fields(right)['Value'] === element ? true : undefined;
  const [other] = isSet(left) ? [right] : isSet(right) ? [left] : [];
  const literals = other === undefined ? undefined : literalsOf(other);
  if (literals === undefined) return undefined;
  const isThere = literals.includes(element);
  if (operator === 'containsAny') return isThere ? true : undefined;
  if (operator === 'containsAll' && isSet(left)) return literals.every((one) => one === element) ? true : undefined;
  // The literals hold all of the set, or are equal to it: not without its element.
  return isThere ? undefined : operator === '!=';
}

function literalsOf(node: unknown): readonly string[] | undefined {
  const { Set: elements } = fields(node);
  if (elements === undefined) return undefined;
  const values = listOf(elements).map((one) => one['Value']);
  return values.every((one) => typeof one === 'string') ? values : undefined;
}

function dependsOnUnknown(node: unknown, known: PartialRequest): boolean {
  if (typeof node !== 'object' || node === null) return false;
  if (Array.isArray(node)) return node.some((one) => dependsOnUnknown(one, known));
  return Object.entries(node).some(([operator, operand]) => {
    if (operator === 'Var') return !isKnown(operand, known);
    // What stands in a literal or a record's names is no variable.
    if (operator === 'Value') return false;
    if (TAG_READS.has(operator) && !areTagsTold(fields(operand)['left'], known)) return true;
    if (ATTRIBUTE_READS.has(operator) && isAttributeUntold(operand, known)) return true;
    return dependsOnUnknown(operator === 'Record' ? Object.values(fields(operand)) : operand, known);
  });
}

/** Whether a whole request would have no other tags there than what is known; an entity that is named may be one of those that are not. */
function areTagsTold(of: unknown, { principal, resource }: PartialRequest): boolean {
  const variable = fields(of)['Var'];
  if (variable === 'principal' || variable === 'resource') {
    const entity = variable === 'principal' ? principal : resource;
    return entity !== undefined && entity.tags !== 'untold';
  }
  return [principal, resource].every(
    (entity) => entity !== undefined && [entity, ...entity.ancestors].every(({ tags }) => tags !== 'untold'),
  );
}

/** Whether it reads an attribute that a whole request may have there: one that it is open in, and an entity whose tags nobody told may lack others as well. */
function isAttributeUntold(operand: unknown, { principal, resource }: PartialRequest): boolean {
  const { left, attr } = fields(operand);
  const name = Array.isArray(attr) ? attr[0] : attr;
  const isOpen = (entity: KnownEntity | undefined) =>
    entity !== undefined &&
    (entity.tags === 'untold' || entity.open.size > 0) &&
    !(typeof name === 'string' && isSettled(entity, name));
  const variable = fields(left)['Var'];
  if (variable === 'principal') return isOpen(principal);
  if (variable === 'resource') return isOpen(resource);
  return [principal, resource].some((entity) => entity !== undefined && [entity, ...entity.ancestors].some(isOpen));
}

function isSettled({ attributes, tags, open }: KnownEntity, name: string): boolean {
  return Object.hasOwn(attributes, name) || (tags !== 'untold' && !open.has(name));
}

function isKnown(variable: unknown, { principal, resource }: PartialRequest): boolean {
  if (variable === 'action') return true;
  return variable !== 'context' && (variable === 'principal' ? principal : resource) !== undefined;
}

const SET_TESTS = new Set(['contains', 'containsAll', 'containsAny', '==', '!=']);
const ATTRIBUTE_READS = new Set(['.', 'has']);
const TAG_READS = new Set(['getTag', 'hasTag']);
const NOBODY = new KnownEntity({ type: '', id: '' }, {}, []);
