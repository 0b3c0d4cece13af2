import { tokensOf } from './nesting.ts';

/** A statement of a text, without the semicolon behind it. */
export interface Piece {
  readonly text: string;
  /** Where in the text it begins. */
  readonly start: number;
  readonly tokens: number;
}

/**
 * Cuts a text into its statements, as long as somebody asks for more. It need not know what a statement is: a semicolon outside of strings and
 * comments ends one, but for those in brackets (CREATE RULE) and in the body of a routine (BEGIN ATOMIC … END). Where a cut is wrong,
 * neither part is a statement; where both are, they are what PostgreSQL makes of the text, since no text means two things.
 */
export function* piecesOf(sql: string): Generator<Piece> {
  const place = { at: 0 };
  let start = 0;
  let tokens = 0;
  let brackets = 0;
  let blocks = 0;
  let before = '';
  for (const token of tokensOf(sql, place)) {
    const word = before === '.' || before === 'as' ? '' : token;
    tokens += 1;
    if (word === '(') brackets += 1;
    else if (word === ')') brackets -= 1;
    else if (word === 'atomic' && before === 'begin') blocks = 1;
    else if (blocks > 0 && word === 'case') blocks += 1;
    else if (blocks > 0 && word === 'end') blocks -= 1;
    else if (word === ';' && brackets <= 0 && blocks === 0) {
      yield { text: sql.slice(start, place.at), start, tokens };
      start = place.at + 1;
      tokens = 0;
      brackets = 0;
    }
    before = token;
  }
  // Without any token it may still hold a comment that never ends.
  if (start < sql.length) yield { text: sql.slice(start), start, tokens };
}
