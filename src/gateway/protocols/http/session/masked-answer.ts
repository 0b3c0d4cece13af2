import type { FieldMask } from '../../../../model/index.ts';
import { createByteMask, maskKinds } from '../../../../policy/index.ts';
import type { Field, ResponseHead } from '../../../../wire/http1/index.ts';
import { createJsonMasker, type JsonMasker } from '../../../../wire/json/index.ts';

/** Reads an answer by its content: hides what policy masks, and counts its items. */
export type AnswerReading = Pick<JsonMasker, 'push' | 'end' | 'heldBytes' | 'items'>;

/**
 * How an answer is read in which fields are masked, or whose items count; a sentence when it can't be: then none of it may be shown. An answer
 * without a body needs no reading.
 */
export function readAnswer(
  head: Pick<ResponseHead, 'fields'>,
  { masks, hashKey }: { readonly masks: readonly FieldMask[]; readonly hashKey: Uint8Array },
): AnswerReading | string {
  const encoding = fieldValue(head.fields, 'content-encoding');
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity')
    return 'the answer is encoded, so it can not be read';
  const format = formatOf(fieldValue(head.fields, 'content-type'));
  if (format === undefined) return 'the answer is no JSON in UTF-8, so it can not be read';
  return createJsonMasker({
    format,
    // Of two that find one field the first is taken.
    rules: masks
      .toSorted((a, b) => maskKinds[b.kind].strictness - maskKinds[a.kind].strictness)
      .map(({ path, kind }) => ({ path: path.slice(1), mask: createByteMask(kind, hashKey) })),
  });
}

/** It goes on as long as it likes, event by event: nothing of it waits for its end. */
export function isStream({ fields }: Pick<ResponseHead, 'fields'>): boolean {
  const format = formatOf(fieldValue(fields, 'content-type'));
  return format !== undefined && format !== 'json';
}

/** Which fields an answer may have beside what is masked in it: none whose value is the upstream's own text, or is made from the whole body. */
export function fieldsBesideMasks(fields: readonly Field[]): readonly Field[] {
  return fields
    .filter(({ name }) => BESIDE_MASKS.has(name))
    .map(({ name, value }) => ({ name, value: name === 'content-type' ? (value.split(';')[0] ?? '').trim() : value }));
}

/** What a request must not ask for when fields of its answer are masked: parts of it, or whether it is still what it was. */
export function askForWhole(fields: readonly Field[]): readonly Field[] {
  return fields.filter(({ name }) => !CONDITIONAL.has(name));
}

function formatOf(contentType: string | undefined): 'json' | 'ndjson' | 'sse' | undefined {
  const [type = '', ...parameters] = (contentType ?? '').toLowerCase().split(';');
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=');
    if (name.trim() === 'charset' && !/^"?utf-?8"?$/.test(value.trim())) return undefined;
  }
  const media = type.trim();
  if (media === 'application/json' || /^application\/[!#$&^_.+a-z0-9-]+\+json$/.test(media)) return 'json';
  if (NDJSON.has(media)) return 'ndjson';
  return media === 'text/event-stream' ? 'sse' : undefined;
}

function fieldValue(fields: readonly Field[], name: string): string | undefined {
  const values = fields.filter((field) => field.name === name).map(({ value }) => value);
  return values.length === 0 ? undefined : values.join(', ');
}

const NDJSON: ReadonlySet<string> = new Set([
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/x-jsonlines',
]);
const BESIDE_MASKS: ReadonlySet<string> = new Set([
  'content-type',
  'date',
  'retry-after',
  'allow',
  'content-language',
  'vary',
]);
const CONDITIONAL: ReadonlySet<string> = new Set([
  ...['range', 'if-range', 'if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'],
  ...['want-digest', 'want-content-digest', 'want-repr-digest', 'a-im'],
]);
