import { expressionOf } from './cedar-json.ts';
import type { Evaluable } from './compile-expression.ts';
import { keyOf } from './conjuncts.ts';
import type { Environment } from './values.ts';

/**
 * A test on a text that, where the text is an attribute of which the question settles but the beginning, goes by that as far as it settles the test.
 * Everything else that reads such an attribute fails: no text that is none ever goes further. `operand`: what is tested.
 */
export function orByBeginning(
  whole: Evaluable,
  operand: unknown,
  settle: (beginning: string) => boolean | undefined,
): Evaluable {
  const key = keyOf(expressionOf(operand));
  if (key === undefined || key.variable === 'context') return whole;
  const { variable, attribute } = key;
  const { evaluate } = whole;
  const byBeginning = (environment: Environment): boolean | undefined => {
    const beginning = environment[variable].beginnings?.get(attribute);
    return beginning === undefined ? undefined : settle(beginning);
  };
  return { ...whole, evaluate: (environment) => byBeginning(environment) ?? evaluate(environment) };
}
