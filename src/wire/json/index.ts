/**
 * JSON as it is masked and as it is decided by: a masker that writes a stream of JSON again with rules applied, and a strict reader of whole
 * texts.
 *
 * It promises that what any reader may take for a field under a rule is masked, whatever its spelling and however often it comes; that what no
 * rule reaches passes byte for byte; that cuts change nothing; and that what is not JSON by the letter is an error. It must not know what a rule
 * is for, or where bytes come from.
 */
export { errorTable, JsonError } from './errors.ts';
export { foldName } from './fold-name.ts';
export { createJsonMasker, type JsonFormat, type JsonMasker, jsonLimits } from './masker.ts';
export { type FieldRule, type JsonMask, type JsonSpan, valueGrowthMax } from './path-states.ts';
export type { JsonLimits } from './scanner.ts';
export { type JsonValue, readStrictJson, type StrictJsonLimits } from './strict-json.ts';
