import { createHash } from 'node:crypto';
import type { Field, RequestHead } from '../../../../wire/http1/index.ts';
import { type MeaningRefusal, refusal } from '../meaning/index.ts';
import type { OpenTarget } from '../target.ts';
import { unchunk } from '../upstream/aws-chunked.ts';
import type { Exchange } from './exchange.ts';

/** What becomes of the body of a request: `holds`: it is read whole before it goes on. */
export interface BodyPlan {
  readonly holds: boolean;
  /** What is signed in its place; undefined: what its bytes hash to. */
  readonly payload: string | undefined;
}

/** By its head: a body is signed by its hash, so it is held; a longer one goes on unsigned where service and connection take that. */
export function bodyPlan(
  head: Pick<RequestHead, 'body' | 'fields'>,
  { config, upstreams }: Pick<OpenTarget, 'config' | 'upstreams'>,
): BodyPlan | MeaningRefusal {
  const { credential, limits } = config;
  if (credential === undefined || !('sigv4' in credential) || head.body.kind === 'none') return AS_IT_IS;
  if (EVENTS.test(streamingOf(head.fields) ?? ''))
    return refusal('http-body', 'each event of the body would have to be signed', 'send it whole', 501);
  if (head.body.kind !== 'length' || head.body.bytes <= limits.bodyInspectedBytes) return HELD;
  const isSecure = upstreams.places.every((place) => place.isSecure);
  if (credential.sigv4.service !== 's3' || !isSecure) return tooLong(false);
  if (!isAwsChunked(head.fields)) return { holds: false, payload: 'UNSIGNED-PAYLOAD' };
  // Its chunks have no signature of the client's: they are fit to go on as they are.
  return streamingOf(head.fields) === UNSIGNED_CHUNKS ? { holds: false, payload: UNSIGNED_CHUNKS } : tooLong(true);
}

/** Of a body that is longer than what is held. */
export function tooLong(mayGoUnsigned: boolean): MeaningRefusal {
  const raise = 'raise limits.bodyInspectedBytes of the target';
  return refusal(
    'http-size',
    'the body is longer than what is held to sign it',
    mayGoUnsigned
      ? `Say its length, without chunks that are signed; send less at once; or ${raise}.`
      : `Send less at once, or ${raise}.`,
    413,
  );
}

/** All of a held body has come: it goes on without the chunks that its client has signed, with what stood behind them. */
export function takeHeld(exchange: Exchange): MeaningRefusal | undefined {
  const { head, forwarded } = exchange;
  const whole = Buffer.concat(exchange.body);
  exchange.body = [whole];
  if (!isAwsChunked(head.fields)) return undefined;
  const found = unchunk(whole);
  if (typeof found === 'string') return malformed(`the body is not aws-chunked: ${found}`);
  const declared = fieldValue(head.fields, DECODED_LENGTH);
  if (declared !== undefined && declared !== String(found.bytes.length))
    return malformed('the body has another length than x-amz-decoded-content-length says');
  const checksums = found.trailers.filter(({ name }) => name !== 'x-amz-trailer-signature');
  for (const { name } of checksums)
    if (!CHECKSUM.test(name) || forwarded.some((field) => field.name === name))
      return malformed('a trailer of the body is no checksum, or stands before it too');
  exchange.body = [found.bytes];
  exchange.bodyBytes = found.bytes.length;
  exchange.forwarded = [...forwarded.flatMap(withoutChunks), ...checksums];
  return undefined;
}

/** What the signature says of a body that was held, or of none. */
export function payloadOf({ payload, body }: Pick<Exchange, 'payload' | 'body'>): string {
  if (payload !== undefined) return payload;
  const hash = createHash('sha256');
  for (const piece of body) hash.update(piece);
  return hash.digest('hex');
}

function isAwsChunked(fields: readonly Field[]): boolean {
  return streamingOf(fields) !== undefined || codingsOf(fieldValue(fields, 'content-encoding')).some(isChunks);
}

/** What its client says of its chunks. */
function streamingOf(fields: readonly Field[]): string | undefined {
  const value = fieldValue(fields, 'x-amz-content-sha256');
  return value?.startsWith('STREAMING-') === true ? value : undefined;
}

function withoutChunks(field: Field): readonly Field[] {
  if (field.name === DECODED_LENGTH || field.name === 'x-amz-trailer') return [];
  if (field.name !== 'content-encoding') return [field];
  const kept = codingsOf(field.value).filter((coding) => !isChunks(coding));
  return kept.length === 0 ? [] : [{ name: field.name, value: kept.join(',') }];
}

function codingsOf(value: string | undefined): readonly string[] {
  return (value ?? '').split(',').map((coding) => coding.trim());
}

function isChunks(coding: string): boolean {
  return coding.toLowerCase() === 'aws-chunked';
}

function fieldValue(fields: readonly Field[], name: string): string | undefined {
  return fields.find((field) => field.name === name)?.value;
}

function malformed(message: string): MeaningRefusal {
  return refusal('http-body', message, 'send the body as it is, or in chunks as S3 documents them');
}

const AS_IT_IS: BodyPlan = { holds: false, payload: undefined };
const HELD: BodyPlan = { holds: true, payload: undefined };
const UNSIGNED_CHUNKS = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
const EVENTS = /-EVENTS$/;
const DECODED_LENGTH = 'x-amz-decoded-content-length';
const CHECKSUM = /^x-amz-checksum-[a-z0-9-]{1,40}$/;
