import type { Decision, DecisionRequest } from '../../model/index.ts';
import { messageOf } from '../../std/index.ts';
import { type ActionScopeJson, argumentOf, type ExprJson, expressionOf, fields } from '../expressions/cedar-json.ts';
import { compileCondition, compileExpression } from '../expressions/compile-expression.ts';
import { datetimeOf } from '../expressions/extensions.ts';
import { printExpression, printScope, printUid, printValue } from '../expressions/print.ts';
import type { Environment, Value } from '../expressions/values.ts';
import type { RequestReader } from '../schema/conform.ts';
import type { Explanation, PolicyExplanation } from '../types.ts';
import { type CompiledPolicy, isBefore } from './compile-policy.ts';
import { scopeFits } from './policy-index.ts';

/** Explains one request: the decision, and what each policy made of it. */
export function explainRequest(deps: {
  readonly request: DecisionRequest;
  readonly policies: readonly CompiledPolicy[];
  readonly reader: RequestReader;
  readonly decide: (request: DecisionRequest) => Decision;
}): Explanation {
  const decision = deps.decide(deps.request);
  let environment: Environment;
  try {
    environment = deps.reader.read(deps.request);
  } catch (error) {
    // The same failure made `decide` refuse; here it is the explanation.
    return { decision, invalid: messageOf(error), policies: [] };
  }
  return { decision, policies: deps.policies.map((policy) => explainPolicy(policy, environment)) };
}

type Why = PolicyExplanation['why'];

function explainPolicy(policy: CompiledPolicy, environment: Environment): PolicyExplanation {
  const { id, effect } = policy.summary;
  const why =
    scopeMismatch(policy, environment) ?? expiry(policy, environment) ?? conditionMismatch(policy, environment);
  if (why === undefined) return { id, effect, outcome: 'matched', why: wholePolicy(policy, environment) };
  return { id, effect, outcome: why.error === undefined ? 'not-matched' : 'error', why };
}

function scopeMismatch(policy: CompiledPolicy, environment: Environment): Why | undefined {
  const { json } = policy;
  const { principal, action, resource } = environment;
  if (!policy.actions.includes(action.id))
    return {
      part: 'action',
      expression: printActionScope(json.action),
      values: [{ path: 'action', value: printUid(action) }],
    };
  if (!scopeFits(policy.principal, principal))
    return {
      part: 'principal',
      expression: printScope('principal', json.principal),
      values: [{ path: 'principal', value: printUid(principal) }],
    };
  if (!scopeFits(policy.resource, resource))
    return {
      part: 'resource',
      expression: printScope('resource', json.resource),
      values: [{ path: 'resource', value: printUid(resource) }],
    };
  return undefined;
}

function expiry({ summary: { expiresMs } }: CompiledPolicy, { timeMs }: Environment): Why | undefined {
  if (expiresMs === undefined || isBefore(timeMs, expiresMs)) return undefined;
  const time = timeMs === undefined ? 'unknown' : printValue(datetimeOf(timeMs));
  return {
    part: 'expires',
    expression: `context.time < ${printValue(datetimeOf(expiresMs))}`,
    values: [{ path: 'context.time', value: time }],
  };
}

function conditionMismatch(policy: CompiledPolicy, environment: Environment): Why | undefined {
  for (const { kind, body } of policy.json.conditions) {
    const settled = attempt(() => compileCondition(body)(environment));
    if ('value' in settled && settled.value === (kind === 'when')) continue;
    const deciding = decidingPart(body, environment);
    const error = 'error' in settled ? { error: settled.error } : {};
    return { part: kind, expression: printExpression(deciding), values: valuesIn(deciding, environment), ...error };
  }
  return undefined;
}

function wholePolicy(policy: CompiledPolicy, environment: Environment): Why {
  const conditions = policy.json.conditions;
  const expression = conditions.map(({ kind, body }) => `${kind} { ${printExpression(body)} }`).join(' ');
  return {
    part: 'all',
    expression,
    values: uniquePaths(conditions.flatMap(({ body }) => valuesIn(body, environment))),
  };
}

/** Goes down to the smallest part that gives the same answer, or the same error, as the whole. */
function decidingPart(expression: ExprJson, environment: Environment): ExprJson {
  const [operator = '', operand] = Object.entries(expression)[0] ?? [];
  if (operator === '!') return decidingPart(argumentOf(operand), environment);
  if (operator !== '&&' && operator !== '||') return expression;
  const { left, right } = fields(operand);
  const first = evaluate(expressionOf(left), environment);
  const goesOn = operator === '&&';
  // The left side settles it unless it lets the right side speak; where both had to speak for the same answer, the whole is the reason.
  if ('error' in first || first.value !== goesOn) return decidingPart(expressionOf(left), environment);
  const second = evaluate(expressionOf(right), environment);
  if ('value' in second && second.value === goesOn) return expression;
  return decidingPart(expressionOf(right), environment);
}

/** Every attribute path that the expression reads, with its value now. */
function valuesIn(expression: ExprJson, environment: Environment): Why['values'] {
  const found: { path: string; value: string }[] = [];
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) node.forEach(visit);
    else if (typeof node === 'object' && node !== null) {
      const expression = fields(node);
      if ('.' in expression || 'getTag' in expression || 'Var' in expression) {
        const result = evaluate(expression, environment);
        found.push({
          path: printExpression(expression),
          value: 'value' in result ? shorten(printValue(result.value)) : 'nothing',
        });
      } else if (!('Value' in expression)) Object.values(expression).forEach(visit);
    }
  };
  visit(expression);
  return uniquePaths(found);
}

function evaluate(
  expression: ExprJson,
  environment: Environment,
): { readonly value: Value } | { readonly error: string } {
  return attempt(() => compileExpression(expression).evaluate(environment));
}

function attempt(evaluation: () => Value): { readonly value: Value } | { readonly error: string } {
  try {
    return { value: evaluation() };
  } catch (error) {
    // What could not be evaluated is the explanation itself.
    return { error: messageOf(error) };
  }
}

function printActionScope(scope: ActionScopeJson): string {
  if (scope.op === 'All') return 'action';
  if ('entities' in scope) return `action in [${scope.entities.map(printUid).join(', ')}]`;
  return `action ${scope.op} ${printUid(scope.entity)}`;
}

function uniquePaths(values: Why['values']): Why['values'] {
  return Array.from(new Map(values.map((one) => [one.path, one])).values());
}

function shorten(text: string): string {
  return text.length <= VALUE_LENGTH_MAX ? text : `${text.slice(0, VALUE_LENGTH_MAX)}…`;
}

/** A value in an explanation is for people. */
const VALUE_LENGTH_MAX = 200;
