import { type BodyLength, encodeRequestHead, type Field, type RequestHead } from '../../../../wire/http1/index.ts';
import type { Meaning } from '../meaning/index.ts';
import type { OpenTarget } from '../target.ts';
import { CALLER_FIELD } from '../upstream/caller-token.ts';
import type { Credential } from '../upstream/credential.ts';
import type { Place } from '../upstream/place.ts';
import { signed, type ToSign } from '../upstream/signature.ts';
import { askForWhole } from './masked-answer.ts';

/** What a request is sent with, beside what the client said. */
export interface SentWith {
  readonly target: OpenTarget;
  readonly place: Place;
  readonly meaning: Meaning;
  /** The client's fields that go on. */
  readonly forwarded: readonly Field[];
  readonly credential: Credential;
  readonly framing: BodyLength;
  /** Fields of its answer are masked. */
  readonly isMasked: boolean;
  /** What signs it, where the target's credential does. */
  readonly signing: Signing | undefined;
  /** The token that says who calls, where the upstream wants it. */
  readonly caller: string | undefined;
}

/** What a signature needs beside the head. */
export interface Signing {
  readonly payload: string;
  readonly nowMs: number;
  /** Told the signature. */
  made(signature: string): void;
}

/** The head of a request as the upstream gets it: made anew from what was decided, with the target's credential and without the client's own. */
export function headToSend(head: RequestHead, sent: SentWith): Buffer {
  const said = {
    method: head.method,
    target: withQuery(sent.meaning.target, sent.credential.query),
    host: sent.place.authority,
    fields: fieldsOf(sent),
  };
  return encodeRequestHead({
    ...{ ...said, fields: signedFields(said, sent) },
    body: sent.framing,
    trailers: sent.target.config.upstreamHttp2 && head.acceptsTrailers,
    ...(head.upgrade === undefined ? {} : { upgrade: head.upgrade }),
  });
}

function signedFields(
  said: Pick<ToSign, 'method' | 'target' | 'host' | 'fields'>,
  { credential: { signer }, signing }: SentWith,
): readonly Field[] {
  if (signer === undefined || signing === undefined) return said.fields;
  const { fields, signature } = signed({ ...said, payload: signing.payload, nowMs: signing.nowMs }, signer);
  signing.made(signature);
  return fields;
}

/** Without them a server of gRPC does not compress either. */
const ACCEPTED_ENCODINGS: ReadonlySet<string> = new Set(['accept-encoding', 'grpc-accept-encoding']);

function withQuery(target: string, query: Credential['query']): string {
  if (query === undefined) return target;
  const pair = `${encodeURIComponent(query.name)}=${encodeURIComponent(query.value)}`;
  return `${target}${target.includes('?') ? '&' : '?'}${pair}`;
}

function fieldsOf({ target, credential, forwarded, isMasked, caller }: SentWith): readonly Field[] {
  // What is masked, or may hold the credential, has to be read.
  const isReadable = isMasked || (credential.forms.length > 0 && !target.config.allowCompression);
  const isWhole = credential.forms.length > 0 && !target.config.allowRanges;
  const { field } = credential;
  const kept = (isMasked ? askForWhole(forwarded) : forwarded).filter(
    ({ name }) =>
      name !== field?.name && !(isReadable && ACCEPTED_ENCODINGS.has(name)) && !(isWhole && PARTS.has(name)),
  );
  return [
    ...kept,
    ...(isReadable ? [{ name: 'accept-encoding', value: 'identity' }] : []),
    ...(field === undefined ? [] : [field]),
    ...(caller === undefined ? [] : [{ name: CALLER_FIELD, value: caller }]),
  ];
}

/** A server that knows no parts answers the whole, as all clients expect. @see RFC 9110 §14.2 */
const PARTS: ReadonlySet<string> = new Set(['range', 'if-range']);
