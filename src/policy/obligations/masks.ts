import { createHmac } from 'node:crypto';
import type { FieldMask } from '../../model/index.ts';

/** A kind of mask. */
export type MaskKind = FieldMask['kind'];

/**
 * What each kind leaves of a value in text form. SQL NULL stays NULL under every kind. `strictness` orders them: of two masks on one
 * column the higher applies. Whoever masks a value that has no faithful text form (a binary format it does not know) uses `null`.
 */
export const maskKinds: Readonly<
  Record<MaskKind, { readonly strictness: number; readonly meaning: string; readonly leaks: string }>
> = {
  null: { strictness: 5, meaning: 'the value becomes NULL', leaks: 'nothing' },
  redact: { strictness: 4, meaning: 'the value becomes the text [redacted]', leaks: 'that there is a value' },
  hash: {
    strictness: 3,
    meaning: 'the first 16 hex digits of HMAC-SHA-256 of the value, under a key that stays in the gateway',
    leaks: 'which values are equal',
  },
  last4: {
    strictness: 2,
    meaning: 'all characters but the last four become *; a value of eight or fewer becomes * throughout',
    leaks: 'length and the last four characters',
  },
  email: {
    strictness: 1,
    meaning: 'a***@example.org: first character, three stars, domain; what is no address becomes [redacted]',
    leaks: 'first character and domain',
  },
};

/** True when `text` names a kind of mask. */
export function isMaskKind(text: string): text is MaskKind {
  return Object.hasOwn(maskKinds, text);
}

/** The stricter of two kinds. */
export function stricterMask(a: MaskKind, b: MaskKind): MaskKind {
  return maskKinds[a].strictness >= maskKinds[b].strictness ? a : b;
}

/** A value in UTF-8: the bytes of `buffer` from `start` to `end`. */
export interface MaskedSpan {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

/**
 * Writes what is shown instead of a value into `into` at `at`, and answers where it ends; -1 = NULL. There must be room for the value
 * and {@link maskGrowthMax} bytes more. Works on bytes, since rows are masked by the million.
 */
export type ByteMask = (value: MaskedSpan, into: Buffer, at: number) => number;

/** Most bytes by which a masked value is longer than the value. */
export const maskGrowthMax = 16;

/** The mask of a kind. `hashKey`: the gateway's secret for kind `hash`, 32 bytes. */
export function createByteMask(kind: MaskKind, hashKey: Uint8Array): ByteMask {
  switch (kind) {
    case 'null':
      return () => -1;
    case 'redact':
      return (_value, into, at) => putAscii(REDACTED, into, at);
    case 'hash':
      return ({ buffer, start, end }, into, at) => {
        const digest = createHmac('sha256', hashKey).update(buffer.subarray(start, end)).digest('hex');
        return putAscii(digest.slice(0, HASH_DIGITS), into, at);
      };
    case 'last4':
      return maskLast4;
    case 'email':
      return maskEmail;
    default:
      return kind satisfies never;
  }
}

/** One value in text form under a mask; `null` is SQL NULL, in and out. */
export function maskText(kind: MaskKind, text: string | null, hashKey: Uint8Array): string | null {
  if (text === null) return null;
  const buffer = Buffer.from(text);
  const into = Buffer.alloc(buffer.length + maskGrowthMax);
  const end = createByteMask(kind, hashKey)({ buffer, start: 0, end: buffer.length }, into, 0);
  return end === -1 ? null : into.toString('utf8', 0, end);
}

/** A star for each character but the last four. Four of five characters would be nearly the value itself, so a short one shows nothing. */
function maskLast4({ buffer, start, end }: MaskedSpan, into: Buffer, at: number): number {
  let characters = 0;
  let fourth = end;
  for (let from = end - 1; from >= start; from--) {
    if (continues(buffer, from)) continue;
    characters++;
    if (characters === LAST4_SHOWN) fourth = from;
  }
  const shown = characters > LAST4_HIDDEN_UP_TO ? LAST4_SHOWN : 0;
  let to = at;
  for (let left = characters - shown; left > 0; left--) into[to++] = STAR;
  for (let from = shown === 0 ? end : fourth; from < end; from++) into[to++] = buffer[from] ?? 0;
  return to;
}

/** The first character, three stars, and all from the last @ on; what is no address shows nothing. */
function maskEmail({ buffer, start, end }: MaskedSpan, into: Buffer, at: number): number {
  let sign = end - 1;
  while (sign >= start && buffer[sign] !== AT_SIGN) sign--;
  if (sign <= start || sign === end - 1) return putAscii(REDACTED, into, at);
  let to = at;
  let from = start;
  do into[to++] = buffer[from++] ?? 0;
  while (from < sign && continues(buffer, from));
  to = putAscii('***', into, to);
  for (from = sign; from < end; from++) into[to++] = buffer[from] ?? 0;
  return to;
}

/** True for a byte that is not the first of its character. @see RFC 3629 §3 */
function continues(buffer: Buffer, at: number): boolean {
  return ((buffer[at] ?? 0) & 0xc0) === 0x80;
}

function putAscii(text: string, into: Buffer, at: number): number {
  let to = at;
  for (let i = 0; i < text.length; i++) into[to++] = text.charCodeAt(i);
  return to;
}

const REDACTED = '[redacted]';
/** 64 bits: no two values of one table are likely to share it. */
const HASH_DIGITS = 16;
const LAST4_HIDDEN_UP_TO = 8;
const LAST4_SHOWN = 4;
const STAR = 0x2a;
const AT_SIGN = 0x40;
