import type { Field } from '../../../../wire/http1/index.ts';
import { foldName, JsonError, type JsonValue, readStrictJson } from '../../../../wire/json/index.ts';
import { jsonFormatOf } from './content-type.ts';
import { type MeaningRefusal, refusal } from './refusal.ts';

/**
 * Why the body of a request can't be read for policy, by what its head says of it: a server that believes the head would read something else,
 * a form say, where Rack takes even a body of no type for one.
 */
export function bodyProblem(fields: readonly Field[]): MeaningRefusal | undefined {
  if (jsonFormatOf(fields) === 'json') return undefined;
  return refusal(
    'http-body',
    'policy asks about the body, which is not said to be plain JSON in UTF-8',
    'send content-type: application/json, and no content-encoding',
    415,
  );
}

/** What a body says that was read whole. */
export function parsedBody(bytes: Buffer): { readonly json: JsonValue } | MeaningRefusal {
  try {
    return { json: readStrictJson(bytes) };
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    return refusal(
      'http-body',
      `policy asks about the body, and it can’t be read: ${error.message}`,
      'send JSON in UTF-8, each name once in an object',
    );
  }
}

/**
 * The text of a string, number or boolean at a path of names; undefined where nothing or something else is there. Arrays are not led into.
 * Names that some readers take for one of the path are refused: for these something would be there.
 */
export function bodyText(
  value: JsonValue,
  path: readonly string[],
): { readonly text: string | undefined } | MeaningRefusal {
  let at: JsonValue | undefined = value;
  for (const name of path) {
    if (!isObject(at)) return { text: undefined };
    const folded = foldName(name);
    for (const other of Object.keys(at))
      if (other !== name && foldName(other) === folded)
        return refusal(
          'http-body',
          `the body has another spelling of ${path.join('.')}, which policy reads`,
          `write it ${name}`,
        );
    at = Object.hasOwn(at, name) ? at[name] : undefined;
  }
  if (typeof at === 'string') return { text: at };
  return { text: typeof at === 'number' || typeof at === 'boolean' ? String(at) : undefined };
}

function isObject(value: JsonValue | undefined): value is { readonly [name: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
