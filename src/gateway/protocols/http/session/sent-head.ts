import { type BodyLength, encodeRequestHead, type Field, type RequestHead } from '../../../../wire/http1/index.ts';
import type { Meaning } from '../meaning/index.ts';
import type { OpenTarget } from '../target.ts';
import { CALLER_FIELD } from '../upstream/caller-token.ts';
import type { Credential } from '../upstream/credential.ts';
import type { Place } from '../upstream/place.ts';
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
  /** The token that says who calls, where the upstream wants it. */
  readonly caller: string | undefined;
}

/** The head of a request as the upstream gets it: made anew from what was decided, with the target's credential and without the client's own. */
export function headToSend(head: RequestHead, sent: SentWith): Buffer {
  return encodeRequestHead({
    method: head.method,
    target: withQuery(sent.meaning.target, sent.credential.query),
    host: sent.place.authority,
    fields: fieldsOf(sent),
    body: sent.framing,
    ...(head.upgrade === undefined ? {} : { upgrade: head.upgrade }),
  });
}

function withQuery(target: string, query: Credential['query']): string {
  if (query === undefined) return target;
  const pair = `${encodeURIComponent(query.name)}=${encodeURIComponent(query.value)}`;
  return `${target}${target.includes('?') ? '&' : '?'}${pair}`;
}

function fieldsOf({ target, credential, forwarded, isMasked, caller }: SentWith): readonly Field[] {
  // What is masked, or may hold the credential, has to be read.
  const isReadable = isMasked || (credential.forms.length > 0 && !target.config.allowCompression);
  const { field } = credential;
  const kept = (isMasked ? askForWhole(forwarded) : forwarded).filter(
    ({ name }) => name !== field?.name && !(isReadable && name === 'accept-encoding'),
  );
  return [
    ...kept,
    ...(isReadable ? [{ name: 'accept-encoding', value: 'identity' }] : []),
    ...(field === undefined ? [] : [field]),
    ...(caller === undefined ? [] : [{ name: CALLER_FIELD, value: caller }]),
  ];
}
