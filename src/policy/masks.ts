import { createHmac } from 'node:crypto';
import type { Obligations } from '../model/index.ts';

/** A kind of mask. */
export type MaskKind = Obligations['masks'] extends ReadonlyMap<string, infer Kind> ? Kind : never;

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

/** One value in text form under a mask; `null` is SQL NULL, in and out. `hashKey`: the gateway's secret for kind `hash`, 32 bytes. */
export function maskText(kind: MaskKind, text: string | null, hashKey: Uint8Array): string | null {
  if (text === null) return null;
  switch (kind) {
    case 'null':
      return null;
    case 'redact':
      return REDACTED;
    case 'hash':
      return createHmac('sha256', hashKey).update(text).digest('hex').slice(0, HASH_DIGITS);
    case 'last4': {
      const characters = Array.from(text);
      // Four of five characters would be nearly the value itself, so a short one shows nothing.
      const shown = characters.length > LAST4_HIDDEN_UP_TO ? 4 : 0;
      return '*'.repeat(characters.length - shown) + characters.slice(characters.length - shown).join('');
    }
    case 'email': {
      const at = text.lastIndexOf('@');
      if (at < 1 || at === text.length - 1) return REDACTED;
      const [first = ''] = text;
      return `${first}***${text.slice(at)}`;
    }
    default:
      return kind satisfies never;
  }
}

const REDACTED = '[redacted]';
/** 64 bits: no two values of one table are likely to share it. */
const HASH_DIGITS = 16;
const LAST4_HIDDEN_UP_TO = 8;
