import type { FieldMask } from '../../../../model/index.ts';
import { createByteMask, maskKinds } from '../../../../policy/index.ts';
import { Code } from '../../../../wire/grpc/index.ts';
import type { Field, ResponseHead } from '../../../../wire/http1/index.ts';
import { createJsonMasker, type JsonMasker } from '../../../../wire/json/index.ts';
import { isGrpc, jsonFormatOf } from '../meaning/index.ts';

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
  const format = jsonFormatOf(head.fields);
  if (format === undefined) return 'the answer is no JSON in UTF-8 without an encoding, so it can not be read';
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
  const format = jsonFormatOf(fields);
  return isGrpc(fields) || (format !== undefined && format !== 'json');
}

/** Which fields an answer may have beside what is masked in it: none whose value is the upstream's own text, or is made from the whole body. */
export function fieldsBesideMasks(fields: readonly Field[]): readonly Field[] {
  return fields
    .filter(({ name, value }) => BESIDE_MASKS.has(name) || (name === 'grpc-status' && GRPC_STATUS.test(value)))
    .map(({ name, value }) => ({ name, value: name === 'content-type' ? (value.split(';')[0] ?? '').trim() : value }));
}

/** The status of a call of gRPC; undefined: there is none. What is no status is UNKNOWN, as its clients take it. */
export function grpcStatusOf(fields: readonly Field[]): number | undefined {
  const value = fields.find(({ name }) => name === 'grpc-status')?.value;
  if (value === undefined) return undefined;
  return GRPC_STATUS.test(value) ? Number(value) : Code.UNKNOWN;
}

/** One of two statuses is taken by some clients, the other by others: RFC 9110 §5.3. `status`: what its head has said. */
export function hasTwoStatuses(fields: readonly Field[], status?: number): boolean {
  const count = fields.filter(({ name }) => name === 'grpc-status').length;
  return count + (status === undefined ? 0 : 1) > 1 && count > 0;
}

/** What a request must not ask for when fields of its answer are masked: parts of it, or whether it is still what it was. */
export function askForWhole(fields: readonly Field[]): readonly Field[] {
  return fields.filter(({ name }) => !CONDITIONAL.has(name));
}

const GRPC_STATUS = /^\d{1,2}$/;
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
