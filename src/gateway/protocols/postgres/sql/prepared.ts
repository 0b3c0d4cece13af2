import { parseText } from './parse.ts';
import { childOf, type Node } from './tree.ts';

/**
 * A statement that a later one may run by name: where it stands. It is parsed again when it is run, since a tree takes a hundred
 * times the memory of its text. Opaque outside of this folder; hold it, hand it back.
 */
export interface PreparedStatement {
  /** The kind of its node. */
  readonly kind: string;
  readonly text: string;
  /** Which statement of the text. */
  readonly index: number;
  /** It is the query of that statement (PREPARE, DECLARE), not that statement itself. */
  readonly isQuery: boolean;
}

/** The statement's node; undefined when the text does not hold it, which only a mistake of ours can bring about. */
export function nodeOfPrepared({ text, index, isQuery }: PreparedStatement): Node | undefined {
  const statement = parseText(text)[index];
  return isQuery && statement !== undefined ? childOf(statement.fields, 'query') : statement;
}

/** Characters of the texts that are held. */
export function charactersOf(held: Iterable<PreparedStatement>): number {
  let characters = 0;
  for (const { text } of held) characters += text.length;
  return characters;
}
