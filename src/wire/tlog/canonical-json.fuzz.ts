import { assert } from '../../std/index.ts';
import { formatCanonicalJson, type JsonValue, parseCanonicalJson } from './canonical-json.ts';
import { TlogError } from './errors.ts';

/** Whatever is read as canonical JSON is written back byte for byte. */
export function fuzz(input: Uint8Array): void {
  let value: JsonValue;
  try {
    value = parseCanonicalJson(input);
  } catch (error) {
    if (error instanceof TlogError) return;
    throw error;
  }
  assert(Buffer.from(formatCanonicalJson(value)).equals(input), 'canonical JSON has one spelling');
}

export const seeds: readonly Uint8Array[] = [
  '{"a":[1,-2,true,null],"b":{"c":"\\n\u20ac"}}',
  '{"b":1,"a":2}',
  '[[[[[[]]]]]]',
  '-0',
  '1e3',
  '"\\ud800"',
  '{"a":1,"a":1}',
].map((text) => Buffer.from(text));

export const tokens = [
  '"',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  'null',
  'true',
  '\\u00',
  '\\n',
  '\\/',
  ' ',
  '\ud83d\ude00',
  'e1',
  '.5',
];
