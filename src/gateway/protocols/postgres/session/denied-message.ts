import { encodeParse, encodeQuery } from '../../../../wire/postgres/index.ts';

/**
 * Messages that PostgreSQL is certain to refuse, sent in place of what was denied: so its own error handling aborts the transaction, skips
 * to Sync and reports the status (decision 0003). The text is a syntax error in every state of a session, fails before anything is
 * looked up, and tells the target's operator what it is.
 */
export function deniedQuery(notParsed?: string): Buffer {
  return encodeQuery(notParsed === undefined ? DENIED_TEXT : withEnd(notParsed));
}

/** In place of a Parse with that name: like any failed Parse it drops the unnamed statement when it is for that one. */
export function deniedParse(name: string, notParsed?: string): Buffer {
  return encodeParse(name, notParsed === undefined ? DENIED_TEXT : withEnd(notParsed));
}

/** In place of any other extended-protocol message: touches no name, since a Parse that fails makes none. */
export function deniedStep(): Buffer {
  return encodeParse('countersign_denied', DENIED_TEXT);
}

/**
 * A text whose statements are carried out, and then one that is certain to fail: it names a column that nothing in it has. No syntax
 * error, for which nothing of the text would be carried out.
 */
export function deniedBehind(text: string): Buffer {
  return encodeQuery(`${text}\nselect "${DENIED_TEXT}" from (values (1)) as v(x)`);
}

/** A text that no parser takes, told by the server itself: with an end that none takes either, whatever is before it (decision 0022). */
function withEnd(text: string): string {
  return `${text}\n;${DENIED_TEXT}`;
}

/** True of the server's error about such a text that is about what the client wrote, and not about the end. */
export function isAboutText(
  { message, position }: { message: string; position: number | undefined },
  text: string,
): boolean {
  if (message.includes(DENIED_TEXT.slice(0, MARK_LENGTH))) return false;
  return position === undefined || position <= charactersOf(text);
}

/** As PostgreSQL counts them. */
function charactersOf(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** PostgreSQL quotes the word at which it fails. */
const MARK_LENGTH = 'countersign'.length;
const DENIED_TEXT = 'countersign: refused before it reached the server';
