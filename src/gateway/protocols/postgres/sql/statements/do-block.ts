/**
 * Blocks of DO in which PL/pgSQL does nothing of its own but to say constants: definitions one after the other, perhaps under one condition, perhaps
 * with errors passed over. Migrations are written so to run twice. PL/pgSQL hands each definition to the server as it is, so it can be judged as such.
 */
import type { Catalog } from '../catalog/catalog.ts';
import { RefusedText } from '../refusal.ts';
import { refuseForeignNames } from '../text/foreign-names.ts';
import { parseText } from '../text/parse.ts';
import { piecesOf } from '../text/split.ts';
import { type Fields, fieldOf, listOf, type Node, nodeOf, stringsOf, textOf } from '../text/tree.ts';
import { statementClasses } from './classes.ts';

export interface DefinitionBlock {
  /** The query that asks for it, before anything else is done. */
  readonly condition: Node | undefined;
  readonly statements: readonly Node[];
}

/** Undefined for a block that does anything else, or might. Throws the refusal `uncertain-name`. */
export function readDefinitions(block: Fields, catalog: Catalog): DefinitionBlock | undefined {
  const { body, language } = optionsOf(block);
  if (body === undefined || body.length > BODY_LENGTH_MAX || (language !== undefined && language !== 'plpgsql'))
    return undefined;
  const inner = BLOCK.exec(body)?.[1];
  if (inner === undefined) return undefined;
  refuseForeignNames(body, catalog);
  const [, asked, guarded] = CONDITION.exec(inner) ?? [];
  const statements = definitionsOf(guarded ?? inner);
  if (statements === undefined) return undefined;
  if (asked === undefined) return { condition: undefined, statements };
  const [condition, ...more] = parseQuietly(`select (${asked})`) ?? [];
  return condition?.kind === 'SelectStmt' && more.length === 0 ? { condition, statements } : undefined;
}

function optionsOf(block: Fields): { readonly body: string | undefined; readonly language: string | undefined } {
  const options = listOf(block, 'args').map((option) => nodeOf(option)?.fields ?? {});
  const only = (name: string) => {
    const found = options.filter((option) => textOf(option, 'defname') === name);
    return found.length === 1 ? stringsOf([fieldOf(found[0] ?? {}, 'arg')])?.[0] : undefined;
  };
  const known = options.every((option) => ['as', 'language'].includes(textOf(option, 'defname') ?? ''));
  return { body: known ? only('as') : undefined, language: only('language') };
}

function definitionsOf(body: string): readonly Node[] | undefined {
  const statements: Node[] = [];
  for (const { text } of piecesOf(body)) {
    if (RAISE.test(text)) continue;
    const [statement, ...more] = parseQuietly(text) ?? [];
    if (statement === undefined || more.length > 0 || !isDefinition(statement)) return undefined;
    statements.push(statement);
  }
  return statements;
}

/** What begins with a word that means nothing to PL/pgSQL, and runs no code while columns are masked. */
function isDefinition({ kind }: Node): boolean {
  const known = statementClasses.get(kind);
  return (known?.action === 'ddl' && known.masked === 'shape') || kind === 'CreateExtensionStmt';
}

/** PL/pgSQL looks for INTO in whatever it is given. */
function parseQuietly(sql: string): readonly Node[] | undefined {
  if (/\binto\b/i.test(sql)) return undefined;
  try {
    return parseText(sql, TOKENS_MAX);
  } catch (error) {
    if (error instanceof RefusedText) return undefined;
    throw error;
  }
}

const LITERAL = String.raw`'(?:[^'\\]|'')*'`;
/** Of constants alone, so that nothing is said that was not sent. */
const RAISE_CONSTANTS = [
  String.raw`raise(?:\s+(?:debug|log|info|notice|warning|exception))?\s+(?:${LITERAL}|sqlstate\s+${LITERAL}|\w+)`,
  String.raw`(?:\s*,\s*(?:${LITERAL}|\d+))*(?:\s+using\s+\w+\s*=\s*${LITERAL}(?:\s*,\s*\w+\s*=\s*${LITERAL})*)?`,
].join('');
const RAISE = new RegExp(`^\\s*${RAISE_CONSTANTS}\\s*$`, 'i');
const HANDLER = String.raw`exception\s+when\s+\w+(?:\s+or\s+\w+)*\s+then\s+(?:(?:null|${RAISE_CONSTANTS})\s*;)?\s*`;
const BLOCK = new RegExp(String.raw`^\s*begin\s+(\S.*?;)\s*(?:${HANDLER})?end\s*;?\s*$`, 'is');
/** PL/pgSQL reads the condition up to the first THEN. */
const CONDITION = /^if\s+((?:(?!\bthen\b).)+?)\s+then\s+(.*;)\s*end\s+if\s*;$/is;
/** The expressions look again at each run of spaces. */
const BODY_LENGTH_MAX = 8_000;
const TOKENS_MAX = 2_000;
