import { Buffer } from 'node:buffer';
import type { Sealer } from '../../wire/seal/index.ts';

/** Parts of a target's answer that a client was not shown, by name. */
export type Withheld = Readonly<Record<string, string>>;

/** Whose answer it was: what is sealed can't be passed off as that of another operation. */
export interface WithheldPlace {
  readonly session: string;
  readonly operation: string;
}

/**
 * Seals what a client was not shown, so that it can stand in the entry of the outcome. What is long is cut: an outcome of any statement must find room
 * in a ledger that is full, and messages quote values of megabytes.
 */
export function sealWithheld(sealer: Sealer, parts: Withheld, place: WithheldPlace): string {
  return sealer.seal(shortened(parts), contextOf(place)).toString('base64url');
}

/**
 * What was sealed in the entry of that operation.
 * @throws SealError ERR_SEAL_FORMAT, ERR_SEAL_BROKEN (another key, or another operation's)
 */
export function openWithheld(sealer: Sealer, sealed: string, place: WithheldPlace): Withheld {
  const parts: unknown = JSON.parse(sealer.open(Buffer.from(sealed, 'base64url'), contextOf(place)).toString());
  return Object.fromEntries(Object.entries(Object(parts)).map(([name, text]) => [name, String(text)]));
}

/** The longest part loses its end until all fit. */
function shortened(parts: Withheld): Buffer {
  const cut = new Map(Object.entries(parts).map(([name, text]) => [name, text.slice(0, BYTES_MAX)]));
  for (;;) {
    const shown = Object.fromEntries(Array.from(cut, ([name, text]) => [name, text.toWellFormed()]));
    const bytes = Buffer.from(JSON.stringify(shown));
    if (bytes.length <= BYTES_MAX) return bytes;
    const [name, text] = Array.from(cut).reduce((long, one) => (one[1].length > long[1].length ? one : long));
    if (text.length < CHARACTERS_MIN) cut.delete(name);
    else cut.set(name, text.slice(0, Math.ceil(text.length * 0.8)));
  }
}

function contextOf({ session, operation }: WithheldPlace): string {
  return `withheld/${session}/${operation}`;
}

/** Sealed and written as text it takes 1,400; whose operation it was takes up to 2,600 of the 4,096 that an outcome may have. */
const BYTES_MAX = 1000;
/** A part that is cut this short tells nothing. */
const CHARACTERS_MIN = 8;
