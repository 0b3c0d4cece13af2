import { toldText } from './told-text.ts';

/**
 * Whether a gateway takes a link. `not-now`: nobody, so the agent leaves this gateway alone for some seconds; `no`: not this one, for what it asks.
 * `what` is one sentence that the workload may see.
 */
export type LinkAnswer = { readonly status: 'yes' } | { readonly status: 'no' | 'not-now'; readonly what: string };

/** One byte: 0 yes, 1 no, 2 not now; behind a no the length (u16) and text of its reason. The same in all versions. */
export function encodeLinkAnswer(answer: LinkAnswer): Buffer {
  if (answer.status === 'yes') return Buffer.from([YES]);
  const reason = Buffer.from(toldText(answer.what, SAID_BYTES_MAX), 'utf8');
  const header = Buffer.from([answer.status === 'no' ? NO : NOT_NOW, 0, 0]);
  header.writeUInt16BE(reason.length, 1);
  return Buffer.concat([header, reason]);
}

/** The answer at the start of `bytes`, and how many of them it has; `more` while it is incomplete. Whatever is unknown is a no. */
export function parseLinkAnswer(bytes: Buffer): { readonly answer: LinkAnswer; readonly bytes: number } | 'more' {
  const status = bytes[0];
  if (status === undefined) return 'more';
  if (status === YES) return { answer: { status: 'yes' }, bytes: 1 };
  if (bytes.length < HEADER_BYTES) return 'more';
  const end = HEADER_BYTES + bytes.readUInt16BE(1);
  if (bytes.length < end) return 'more';
  const what = toldText(bytes.toString('utf8', HEADER_BYTES, end), SHOWN_BYTES_MAX);
  return { answer: { status: status === NOT_NOW ? 'not-now' : 'no', what }, bytes: end };
}

const YES = 0;
const NO = 1;
const NOT_NOW = 2;
const HEADER_BYTES = 3;
const SAID_BYTES_MAX = 1024;
/** Fits an error message on a screen. */
const SHOWN_BYTES_MAX = 512;
