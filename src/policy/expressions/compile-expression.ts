import { orByBeginning } from './beginnings.ts';
import {
  argumentOf,
  type ExprJson,
  expressionOf,
  fields,
  listOf,
  namesOf,
  patternOf,
  UnsupportedError,
  uidOf,
} from './cedar-json.ts';
import { EvaluationError } from './evaluation-error.ts';
import { datetimeOf, extensionFunctions, instantOf } from './extensions.ts';
import { compileLike, compileLikeOfBeginning } from './like.ts';
import { addLong, multiplyLong, negateLong, subtractLong } from './long.ts';
import {
  asEntity,
  asLong,
  asSet,
  attributeOf,
  EntityValue,
  type Environment,
  equal,
  includes,
  includesAll,
  includesAny,
  isIn,
  isRecord,
  isSet,
  KnownEntity,
  type Long,
  type SetValue,
  sameEntity,
  typeError,
  type Value,
} from './values.ts';

/** An expression made ready to be evaluated. `isBoolean`: it can give nothing but a boolean (or an error). */
export interface Evaluable {
  readonly evaluate: (environment: Environment) => Value;
  readonly isBoolean: boolean;
  /** Set when the expression is a literal. */
  readonly literal?: Value;
}

/**
 * Compiles an expression of Cedar's JSON policy format to closures that behave as Cedar does, errors included: operands are evaluated
 * from left to right, `&&`, `||` and `if` only as far as needed, and the first error is the error of the whole.
 * @throws UnsupportedError for what is not evaluated here
 */
export function compileExpression(expression: ExprJson): Evaluable {
  const [entry, ...others] = Object.entries(expression);
  if (entry === undefined || others.length > 0) throw new UnsupportedError('an expression that is not one operation');
  const [operator, operand] = entry;
  const core = Object.hasOwn(operators, operator) ? operators[operator] : undefined;
  if (core !== undefined) return core(operand);
  const extension = extensionFunctions.get(operator);
  if (extension === undefined) throw new UnsupportedError(`the operation ${JSON.stringify(operator)}`);
  const [first, second = first] = listOf(operand).map((argument) => compileExpression(argument));
  if (first === undefined || second === undefined || listOf(operand).length !== extension.arity)
    throw new UnsupportedError(`${operator} with ${listOf(operand).length} arguments`);
  return constantFolded(
    (env) => {
      const left = first.evaluate(env);
      return extension.call(left, extension.arity === 1 ? left : second.evaluate(env));
    },
    [first, second],
  );
}

/** Compiles an expression that has to give a boolean. */
export function compileCondition(expression: ExprJson): (environment: Environment) => boolean {
  return asBoolean(compileExpression(expression));
}

/** By operator of the JSON policy format. */
const operators: Readonly<Record<string, (operand: unknown) => Evaluable>> = {
  Value: (operand) => literal(literalOf(operand)),
  Var: (operand) => variable(operand),
  '!': (operand) => {
    const argument = asBoolean(compileExpression(argumentOf(operand)));
    return test((env) => !argument(env));
  },
  neg: (operand) => {
    const argument = compileExpression(argumentOf(operand));
    return value((env) => negateLong(asLong(argument.evaluate(env))));
  },
  '&&': (operand) => {
    const [left, right] = conditions(operand);
    return test((env) => left(env) && right(env));
  },
  '||': (operand) => {
    const [left, right] = conditions(operand);
    return test((env) => left(env) || right(env));
  },
  '==': (operand) => equality(operand),
  '!=': (operand) => {
    const { evaluate } = equality(operand);
    return test((env) => evaluate(env) === false);
  },
  '<': (operand) => comparison(operand, (a, b) => a < b),
  '<=': (operand) => comparison(operand, (a, b) => a <= b),
  '>': (operand) => comparison(operand, (a, b) => a > b),
  '>=': (operand) => comparison(operand, (a, b) => a >= b),
  '+': (operand) => arithmetic(operand, addLong),
  '-': (operand) => arithmetic(operand, subtractLong),
  '*': (operand) => arithmetic(operand, multiplyLong),
  in: (operand) => {
    const [left, right] = pair(operand);
    return membership(left, right);
  },
  is: (operand) => typeTest(operand),
  has: (operand) => presence(operand),
  '.': (operand) => access(operand),
  like: (operand) => {
    const { left, pattern } = fields(operand);
    const text = compileExpression(expressionOf(left));
    const matches = compileLike(patternOf(pattern));
    const whole = test((env) => {
      const found = text.evaluate(env);
      if (typeof found !== 'string') throw typeError('string', found);
      return matches(found);
    });
    return orByBeginning(whole, expressionOf(left), compileLikeOfBeginning(patternOf(pattern)));
  },
  contains: (operand) => {
    const [left, right] = pair(operand);
    const hashed = hashedLiteral(left);
    if (hashed !== undefined) return test((env) => hashed.has(right.evaluate(env)));
    return test((env) => {
      const set = asSet(left.evaluate(env));
      return includes(set, right.evaluate(env));
    });
  },
  containsAll: (operand) => setTest(operand, includesAll),
  containsAny: (operand) => setTest(operand, includesAny),
  isEmpty: (operand) => {
    const argument = compileExpression(argumentOf(operand));
    return test((env) => asSet(argument.evaluate(env)).length === 0);
  },
  hasTag: (operand) => {
    const tag = tagOf(operand);
    return test((env) => tag(env) !== undefined);
  },
  getTag: (operand) => {
    const tag = tagOf(operand);
    return value((env) => {
      const found = tag(env);
      if (found === undefined) throw new EvaluationError('there is no such tag');
      return found;
    });
  },
  'if-then-else': (operand) => {
    const branches = fields(operand);
    const condition = asBoolean(compileExpression(expressionOf(branches['if'])));
    const then = compileExpression(expressionOf(branches['then']));
    const otherwise = compileExpression(expressionOf(branches['else']));
    const isBoolean = then.isBoolean && otherwise.isBoolean;
    return { isBoolean, evaluate: (env) => (condition(env) ? then.evaluate(env) : otherwise.evaluate(env)) };
  },
  Set: (operand) => {
    const elements = listOf(operand).map(compileExpression);
    const evaluate = (env: Environment) => elements.map((element) => element.evaluate(env));
    return constantFolded(evaluate, elements);
  },
  Record: (operand) => {
    const entries = Object.entries(fields(operand)).map(
      ([name, expression]) => [name, compileExpression(expressionOf(expression))] as const,
    );
    return value((env) => Object.fromEntries(entries.map(([name, entry]) => [name, entry.evaluate(env)])));
  },
};

/** Only for literals inside policies: numbers beyond what JSON carries exactly were rounded by the parser and can not be trusted. */
function literalOf(operand: unknown): Value {
  if (typeof operand === 'boolean' || typeof operand === 'string') return operand;
  if (typeof operand === 'number') {
    if (Number.isSafeInteger(operand)) return operand;
    throw new UnsupportedError(`an integer beyond ±${Number.MAX_SAFE_INTEGER} written in a policy`);
  }
  if (typeof operand === 'object' && operand !== null && '__entity' in operand) {
    const { type, id } = uidOf(operand.__entity);
    return new EntityValue(type, id);
  }
  throw new UnsupportedError('a literal that is neither boolean, integer, string nor entity');
}

function variable(name: unknown): Evaluable {
  switch (name) {
    case 'principal':
      return value((env) => env.principal);
    case 'action':
      return value((env) => env.action);
    case 'resource':
      return value((env) => env.resource);
    case 'context':
      return value(({ context, timeMs }) =>
        timeMs === undefined ? context : { ...context, time: datetimeOf(timeMs) },
      );
    default:
      throw new UnsupportedError(`the variable ${String(name)}`);
  }
}

function equality(operand: unknown): Evaluable {
  const [left, right] = pair(operand);
  const constant = right.literal ?? left.literal;
  // Most conditions compare with a plain literal: `===` is all it takes.
  if (constant !== undefined && typeof constant !== 'object') {
    const isRight = right.literal === constant;
    const { evaluate } = isRight ? left : right;
    const whole = test((env) => evaluate(env) === constant);
    if (typeof constant !== 'string') return whole;
    return orByBeginning(whole, fields(operand)[isRight ? 'left' : 'right'], compileLikeOfBeginning([constant]));
  }
  return test((env) => {
    const found = left.evaluate(env);
    return equal(found, right.evaluate(env));
  });
}

function comparison(operand: unknown, compare: (a: Long, b: Long) => boolean): Evaluable {
  const [left, right] = pair(operand);
  return test((env) => {
    const a = left.evaluate(env);
    const b = right.evaluate(env);
    const instant = instantOf(a);
    if (instant === undefined) return compare(asLong(a), asLong(b));
    const other = instantOf(b);
    if (other?.kind !== instant.kind) throw typeError(instant.kind, b);
    return compare(instant.key, other.key);
  });
}

function arithmetic(operand: unknown, apply: (a: Long, b: Long) => Long): Evaluable {
  const [left, right] = pair(operand);
  return value((env) => {
    const a = asLong(left.evaluate(env));
    return apply(a, asLong(right.evaluate(env)));
  });
}

function membership(left: Evaluable, right: Evaluable): Evaluable {
  return test((env) => {
    const entity = asEntity(left.evaluate(env));
    const place = right.evaluate(env);
    if (!isSet(place)) return isIn(known(env, entity), asEntity(place));
    // Every element is looked at first: one that is no entity is an error even where an earlier one would have matched.
    const places = place.map(asEntity);
    return places.some((one) => isIn(known(env, entity), one));
  });
}

function typeTest(operand: unknown): Evaluable {
  const { left, entity_type: type, in: place } = fields(operand);
  const entity = compileExpression(expressionOf(left));
  const isType = test((env) => asEntity(entity.evaluate(env)).type === type);
  if (place === undefined) return isType;
  const inside = membership(entity, compileExpression(expressionOf(place)));
  return test((env) => isType.evaluate(env) === true && inside.evaluate(env) === true);
}

function presence(operand: unknown): Evaluable {
  const { left, attr } = fields(operand);
  const path = typeof attr === 'string' ? [attr] : namesOf(attr);
  const container = containerOf(left, path[0]);
  const [only] = path;
  if (path.length === 1 && only !== undefined) return test((env) => hasOne(env, container.evaluate(env), only));
  return test((env) => {
    let current = container.evaluate(env);
    for (const name of path) {
      const found = read(env, current, name);
      if (found === undefined) return false;
      current = found;
    }
    return true;
  });
}

function access(operand: unknown): Evaluable {
  const { left, attr } = fields(operand);
  if (typeof attr !== 'string') throw new UnsupportedError('an attribute without a name');
  const container = containerOf(left, attr);
  return value((env) => {
    const from = container.evaluate(env);
    const found = read(env, from, attr);
    if (found !== undefined) return found;
    if (from instanceof EntityValue && !(known(env, from) instanceof KnownEntity))
      throw new EvaluationError(`the entity ${from.type}::${JSON.stringify(from.id)} is not in the request`);
    throw new EvaluationError(`there is no attribute ${JSON.stringify(attr)}`);
  });
}

/** A tag of an entity, undefined where it has none of that key, or is not in the request. */
function tagOf(operand: unknown): (environment: Environment) => Value | undefined {
  const [left, right] = pair(operand);
  return (env) => {
    const [from, key] = [left.evaluate(env), right.evaluate(env)];
    const entity = known(env, asEntity(from));
    if (typeof key !== 'string') throw typeError('string', key);
    return entity instanceof KnownEntity ? entity.tag(key) : undefined;
  };
}

/** What an attribute is read of: the context without its time, where that is not what is read. */
function containerOf(node: unknown, attribute: string | undefined): Evaluable {
  const expression = expressionOf(node);
  if (expression['Var'] === 'context' && attribute !== TIME) return value((env) => env.context);
  return compileExpression(expression);
}

/** An attribute of a record or entity, undefined when there is none. @throws EvaluationError when `from` is neither */
function read(env: Environment, from: Value, name: string): Value | undefined {
  if (from instanceof EntityValue) {
    const entity = known(env, from);
    return entity instanceof KnownEntity ? entity.attribute(name) : undefined;
  }
  if (!isRecord(from)) throw typeError('record or entity', from);
  return attributeOf(from, name);
}

function hasOne(env: Environment, from: Value, name: string): boolean {
  const entity = from instanceof EntityValue ? known(env, from) : undefined;
  return entity instanceof KnownEntity ? entity.has(name) : read(env, from, name) !== undefined;
}

/** The entity as the request knows it, if it does: an attribute or a literal only names one. */
function known(env: Environment, entity: EntityValue): EntityValue {
  if (entity instanceof KnownEntity) return entity;
  for (const root of [env.principal, env.resource, env.action]) {
    if (sameEntity(root, entity)) return root;
    for (const ancestor of root.ancestors) if (sameEntity(ancestor, entity)) return ancestor;
  }
  return entity;
}

function setTest(operand: unknown, apply: (set: SetValue, other: SetValue) => boolean): Evaluable {
  const [left, right] = pair(operand);
  return test((env) => {
    const set = asSet(left.evaluate(env));
    return apply(set, asSet(right.evaluate(env)));
  });
}

/** A literal set whose elements all compare by `===`. */
function hashedLiteral(set: Evaluable): ReadonlySet<Value> | undefined {
  if (set.literal === undefined || !isSet(set.literal)) return undefined;
  return set.literal.every((element) => typeof element !== 'object') ? new Set(set.literal) : undefined;
}

/** Evaluates at once what holds nothing but literals; what fails then has to fail anew at each request, as in Cedar. */
function constantFolded(evaluate: (environment: Environment) => Value, parts: readonly Evaluable[]): Evaluable {
  if (parts.some((part) => part.literal === undefined)) return value(evaluate);
  try {
    return literal(evaluate(NOWHERE));
  } catch (error) {
    if (error instanceof EvaluationError) return value(evaluate);
    throw error;
  }
}

function literal(constant: Value): Evaluable {
  return { evaluate: () => constant, isBoolean: typeof constant === 'boolean', literal: constant };
}

function value(evaluate: (environment: Environment) => Value): Evaluable {
  return { evaluate, isBoolean: false };
}

function test(evaluate: (environment: Environment) => boolean): Evaluable {
  return { evaluate, isBoolean: true };
}

function asBoolean(expression: Evaluable): (environment: Environment) => boolean {
  const { evaluate } = expression;
  // Checked when it was compiled: it gives a boolean or throws.
  if (expression.isBoolean) return evaluate as (environment: Environment) => boolean;
  return (env) => {
    const found = evaluate(env);
    if (typeof found !== 'boolean') throw typeError('boolean', found);
    return found;
  };
}

function conditions(operand: unknown) {
  const [left, right] = pair(operand);
  return [asBoolean(left), asBoolean(right)] as const;
}

function pair(operand: unknown): readonly [Evaluable, Evaluable] {
  const { left, right } = fields(operand);
  return [compileExpression(expressionOf(left)), compileExpression(expressionOf(right))];
}

/** The attribute of every context that the protocol does not bring. */
const TIME = 'time';
const NOBODY = new KnownEntity({ type: '', id: '' }, {}, []);
const NOWHERE: Environment = { principal: NOBODY, action: NOBODY, resource: NOBODY, context: {}, timeMs: undefined };
