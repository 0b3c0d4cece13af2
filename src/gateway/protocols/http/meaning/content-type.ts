import type { Field } from '../../../../wire/http1/index.ts';

/** What JSON can be: one text, a text a line, or a text an event. */
export type JsonFormat = 'json' | 'ndjson' | 'sse';

/** Which kind of JSON in UTF-8 a message's fields say that its body is, as it stands there; undefined: none, or encoded. */
export function jsonFormatOf(fields: readonly Field[]): JsonFormat | undefined {
  const encoding = fieldValue(fields, 'content-encoding');
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') return undefined;
  const [type = '', ...parameters] = (fieldValue(fields, 'content-type') ?? '').toLowerCase().split(';');
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=');
    if (name.trim() === 'charset' && !/^"?utf-?8"?$/.test(value.trim())) return undefined;
  }
  const media = type.trim();
  if (media === 'application/json' || /^application\/[!#$&^_.+a-z0-9-]+\+json$/.test(media)) return 'json';
  if (NDJSON.has(media)) return 'ndjson';
  return media === 'text/event-stream' ? 'sse' : undefined;
}

/** It is a message of gRPC, by its type. */
export function isGrpc(fields: readonly Field[]): boolean {
  const type = fields.find(({ name }) => name === 'content-type')?.value.toLowerCase() ?? '';
  return /^application\/grpc(?:$|[+; \t])/.test(type);
}

/** Of all that are there, as one. @see RFC 9110 §5.3 */
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
