import type { JsonValue } from '../../../../wire/json/index.ts';
import { foldedText } from './path.ts';
import { type MeaningRefusal, refusal } from './refusal.ts';

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
    const folded = foldedJsonName(name);
    for (const other of Object.keys(at))
      if (other !== name && foldedJsonName(other) === folded)
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

/** As Go's decoder and those that cut at NUL take it. */
function foldedJsonName(name: string): string {
  return foldedText(name).replace(/\0+$/, '');
}

function isObject(value: JsonValue | undefined): value is { readonly [name: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
