import { encodeParse, encodeQuery } from '../../../wire/postgres/index.ts';

/**
 * Messages that PostgreSQL is certain to refuse, sent in place of what was denied: so its own error handling aborts the transaction, skips
 * to Sync and reports the status (decision 0003). The text is a syntax error in every state of a session, fails before anything is
 * looked up, and tells the target's operator what it is.
 */
export function deniedQuery(): Buffer {
  return encodeQuery(DENIED_TEXT);
}

/** In place of a Parse with that name: like any failed Parse it drops the unnamed statement when it is for that one. */
export function deniedParse(name: string): Buffer {
  return encodeParse(name, DENIED_TEXT);
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

const DENIED_TEXT = 'countersign: refused before it reached the server';
