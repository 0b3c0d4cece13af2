import { Buffer } from 'node:buffer';
import type { Sealer } from '../wire/seal/index.ts';

/** Parts of a target's answer that a client was not shown, by name. */
export type Withheld = Readonly<Record<string, string>>;

/** Whose answer it was: what is sealed can't be passed off as that of another operation. */
export interface WithheldPlace {
  readonly session: string;
  readonly operation: string;
}

/** Seals what a client was not shown, so that it can stand in an entry of the ledger. Long parts are cut, their number is bounded. */
export function sealWithheld(sealer: Sealer, parts: Withheld, place: WithheldPlace): string {
  const kept = Object.entries(parts).slice(0, PARTS_MAX);
  const cut = Object.fromEntries(kept.map(([name, text]) => [name, text.slice(0, CHARACTERS_MAX).toWellFormed()]));
  return sealer.seal(Buffer.from(JSON.stringify(cut)), contextOf(place)).toString('base64url');
}

/**
 * What was sealed in the entry of that operation.
 * @throws SealError ERR_SEAL_FORMAT, ERR_SEAL_BROKEN (another key, or another operation's)
 */
export function openWithheld(sealer: Sealer, sealed: string, place: WithheldPlace): Withheld {
  const parts: unknown = JSON.parse(sealer.open(Buffer.from(sealed, 'base64url'), contextOf(place)).toString());
  return Object.fromEntries(Object.entries(Object(parts)).map(([name, text]) => [name, String(text)]));
}

function contextOf({ session, operation }: WithheldPlace): string {
  return `withheld/${session}/${operation}`;
}

const PARTS_MAX = 16;
/** Of one part: a message may quote a value of megabytes. */
const CHARACTERS_MAX = 4096;
