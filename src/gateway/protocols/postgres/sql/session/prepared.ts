import { RefusedText } from '../refusal.ts';
import { parseText } from '../text/parse.ts';
import { childOf, type Node } from '../text/tree.ts';

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
  /** Parameters of PREPARE may be of types that are not PostgreSQL's own, by their names or by what they stand beside. */
  readonly hasOwnTypes?: boolean;
}

/** Trees of texts that take longer to parse than others may wait. */
export interface PreparedTrees {
  readonly known: ReadonlyMap<string, readonly Node[]>;
  /** Those that were asked for and are not known. */
  readonly missing: Set<string>;
}

/** The statement's node; undefined when the text does not hold it, which only a mistake of ours can bring about. */
export function nodeOfPrepared(
  { text, index, isQuery }: PreparedStatement,
  trees: PreparedTrees | undefined,
): Node | undefined {
  const statement = (trees?.known.get(text) ?? parsed(text, trees))[index];
  return isQuery && statement !== undefined ? childOf(statement.fields, 'query') : statement;
}

function parsed(text: string, trees: PreparedTrees | undefined): readonly Node[] {
  try {
    return parseText(text);
  } catch (error) {
    if (error instanceof RefusedText && error.reason === 'text-not-at-once') trees?.missing.add(text);
    throw error;
  }
}

/** Characters of the texts that are held. */
export function charactersOf(held: Iterable<PreparedStatement>): number {
  let characters = 0;
  for (const { text } of held) characters += text.length;
  return characters;
}
