/**
 * Names that a server of another encoding than UTF8 takes for others than the parser does: it cuts them at 63 bytes of its own, and folds
 * letters beyond ASCII where its locale has capitals.
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { SessionFacts } from '../plan.ts';
import { RefusedText } from '../refusal.ts';
import { tokensOf } from './nesting.ts';

/** How the server reads names. */
export interface NameEncoding {
  /** PostgreSQL's own name of it. */
  readonly name: string;
  /** Bytes of the longest character. */
  readonly bytesMax: number;
  /** Letters beyond ASCII have capitals there, which it folds where names stand without quotes. */
  readonly foldsLetters: boolean;
}

/** Judges every name of a text, whatever it names. Throws the refusal `uncertain-name`. */
export function refuseForeignNames(sql: string, { encoding }: Pick<Catalog, 'encoding'>): void {
  if (encoding.name === 'UTF8') return;
  for (const name of foreignNamesOf(sql)) {
    if (isCut(name, encoding)) throw refused(name, encoding, 'Give it a name of fewer letters.');
    if (encoding.name === 'EUC_JP' && (name.isEscaped || name.text.includes(BROKEN_BAR)))
      throw refused(name, encoding, 'Write the name without U&, and with \uffe4 in the place of \u00a6.');
    if (!name.isQuoted && isFolded(name.text, encoding))
      throw refused(name, encoding, 'Put the name in quotes, as it is stored.');
  }
}

/** True when the parser would cut a name of the text that has letters beyond ASCII. */
export function hasLongName(sql: string): boolean {
  for (const { text } of foreignNamesOf(sql)) if (Buffer.byteLength(text) > NAME_BYTES_MAX) return true;
  return false;
}

/** Judges a path that was given at start-up, when nobody knew yet whose names it holds, nor remembers now which were in quotes. */
export function refuseForeignPath(
  { searchPath, startPath = [] }: Pick<SessionFacts, 'searchPath' | 'startPath'>,
  { encoding }: Pick<Catalog, 'encoding'>,
): void {
  if (searchPath !== undefined || encoding.name === 'UTF8') return;
  for (const text of startPath.filter((one) => beyondAscii.test(one)))
    if (isCut({ text }, encoding) || isFolded(text, encoding) || text.includes(BROKEN_BAR))
      throw refused({ text }, encoding, 'Set search_path by SET, not in the connection string.');
}

/** A name as it is written, without its quotes. */
interface WrittenName {
  readonly text: string;
  readonly isQuoted: boolean;
  /** U&"…" says letters by their numbers. */
  readonly isEscaped: boolean;
}

/** Those that are not of ASCII alone. */
function* foreignNamesOf(sql: string): Generator<WrittenName> {
  if (!beyondAscii.test(sql) && !escapedName.test(sql)) return;
  const place = { at: 0 };
  for (const token of tokensOf(sql, place)) {
    const isQuoted = token === "'" && sql[place.at] === '"';
    const one = isQuoted ? quotedName : plainName;
    one.lastIndex = place.at;
    // Behind a quote that is doubled the rest of the name comes once more, which is no matter.
    const text = token === "'" && !isQuoted ? undefined : one.exec(sql)?.[1];
    const isEscaped = isQuoted && /u&/i.test(sql.slice(Math.max(0, place.at - 2), place.at));
    if (text !== undefined && (isEscaped || beyondAscii.test(text))) yield { text, isQuoted, isEscaped };
  }
}

/** Longer than what both read whole. An escape is longer than the letter that it stands for. */
function isCut({ text }: Pick<WrittenName, 'text'>, { bytesMax }: NameEncoding): boolean {
  const letterBytes = bytesMax === 1 ? 0 : bytesMax;
  let bytes = 0;
  for (const letter of text) bytes += letter < '\u0080' ? 1 : Math.max(letterBytes, Buffer.byteLength(letter));
  return bytes > NAME_BYTES_MAX;
}

/** Without an encoding each byte counts as a letter of its own. */
function isFolded(text: string, { name, foldsLetters }: NameEncoding): boolean {
  if (!foldsLetters) return false;
  return name === 'SQL_ASCII' || Array.from(text).some((one) => one >= '\u0080' && one.toLowerCase() !== one);
}

function refused({ text }: Pick<WrittenName, 'text'>, { name: encoding }: NameEncoding, hint: string): RefusedText {
  return new RefusedText('uncertain-name', `the name "${text}" may be another to a database in ${encoding}`, { hint });
}

const beyondAscii = /[\u0080-\uffff]/;
const escapedName = /u&"/i;
const plainName = /([A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)/y;
const quotedName = /"((?:[^"]|"")*)"/y;
const NAME_BYTES_MAX = 63;
/** The one letter that a server turns into another: into that of full width. */
const BROKEN_BAR = '\u00a6';
