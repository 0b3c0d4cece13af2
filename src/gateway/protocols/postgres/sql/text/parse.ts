import { setFlagsFromString } from 'node:v8';
import { hasSqlDetails, loadModule, parseSync } from 'libpg-query';
import { messageOf } from '../../../../../std/index.ts';
import { SqlError } from '../errors.ts';
import { RefusedText } from '../refusal.ts';
import { hasLongName } from './foreign-names.ts';
import { extentOf } from './nesting.ts';
import { tooDeep } from './parse-thread.ts';
import { type Fields, fieldOf, isFields, type Node, nodeOf } from './tree.ts';

/** Levels of JSON in a parsed text, chains of operators aside; each costs the walk about one stack frame. */
const treeDepthMax = 1_500;
/** Of a view: looked at once for all sessions. */
const definitionTokensMax = 50_000;

let isLoaded = false;

/** Loads PostgreSQL's grammar; await it once before the first plan. */
export async function loadParser(): Promise<void> {
  if (isLoaded) return;
  // V8's optimising compiler takes half a gigabyte for the grammar's one huge function, to make parsing a fifth faster.
  setFlagsFromString('--no-wasm-tier-up');
  setFlagsFromString('--no-wasm-dynamic-tiering');
  await loadModule();
  isLoaded = true;
}

/**
 * The statements of a text; none for an empty one. Throws {@link RefusedText} for what is no SQL, nests too deeply, or has more than so
 * many tokens (`text-not-at-once`).
 */
export function parseText(sql: string, tokensMax?: number): readonly Node[] {
  if (!isLoaded) throw new SqlError('ERR_SQL_PARSER', 'the SQL parser was not loaded: await loadParser() at start');
  refuseMalformed(sql);
  if (sql.trim() === '') return [];
  const extent = extentOf(sql, tokensMax);
  if (extent === 'deep') throw tooDeep();
  if (extent === 'long') throw new RefusedText('text-not-at-once', 'the statement is too long to be looked at here');
  return statementsOf(parseTree(sql));
}

/** The statement that the catalog gives as a definition; undefined for what can't be read: the server's grammar may be newer than this one. */
export function parseDefinition(sql: string): Node | undefined {
  // A server of another encoding than UTF8 has names that the parser would cut.
  if (hasLongName(sql)) return undefined;
  try {
    const [statement, ...more] = parseText(sql, definitionTokensMax);
    return more.length === 0 ? statement : undefined;
  } catch (error) {
    if (error instanceof RefusedText) return undefined;
    throw error;
  }
}

/** The statements of a parsed text. Throws {@link RefusedText} for what nobody could walk. */
export function statementsOf(tree: unknown): readonly Node[] {
  refuseDeep(tree);
  const statements: Node[] = [];
  const raw = isFields(tree) ? fieldOf(tree, 'stmts') : undefined;
  if (!Array.isArray(raw)) throw notUnderstood();
  for (const item of raw) {
    const statement = isFields(item) ? nodeOf(fieldOf(item, 'stmt')) : undefined;
    if (statement === undefined) throw notUnderstood();
    statements.push(statement);
  }
  return statements;
}

/** What stands before a statement of a text that could be parsed. */
export function textBefore(sql: string, index: number): string {
  const tree = parseTree(sql);
  const raw = isFields(tree) ? fieldOf(tree, 'stmts') : undefined;
  const statement: unknown = Array.isArray(raw) ? raw[index] : undefined;
  const location = isFields(statement) ? fieldOf(statement, 'stmt_location') : undefined;
  // In bytes, as the parser counts; the first statement of a text has none.
  return Buffer.from(sql).toString('utf8', 0, Number(location ?? 0));
}

/** The parser stops at NUL and would not see what follows; PostgreSQL's protocol can't carry one either. */
export function refuseMalformed(sql: string): void {
  if (sql.includes('\0') || !sql.isWellFormed())
    throw new RefusedText('text-malformed', 'a statement text is UTF-8 without NUL');
}

function parseTree(sql: string): unknown {
  try {
    return parseSync(sql);
  } catch (error) {
    if (error instanceof RangeError) throw tooDeep();
    if (!hasSqlDetails(error)) throw new RefusedText('statement-not-understood', 'the statement could not be parsed');
    const position = error.sqlDetails?.cursorPosition;
    const isMemory = messageOf(error).startsWith('memory exhausted');
    throw new RefusedText(isMemory ? 'text-too-deep' : 'syntax-error', messageOf(error), {
      ...(position === undefined ? {} : { position: position + 1 }),
    });
  }
}

/**
 * Bounds the depth of the tree with an own stack, since everything after this walks it by recursion; but for the left sides of operators,
 * which are walked one after the other.
 */
function refuseDeep(tree: unknown): void {
  let level: unknown[] = [tree];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > treeDepthMax) throw tooDeep();
    const next: unknown[] = [];
    for (let value = level.pop(); value !== undefined; value = level.pop()) {
      if (Array.isArray(value)) for (const item of value) next.push(item);
      else if (isFields(value)) pushChildren(value, { level, next });
    }
    level = next;
  }
}

function pushChildren(value: Fields, { level, next }: { level: unknown[]; next: unknown[] }): void {
  for (const [name, item] of Object.entries(value)) {
    const left = name === 'lexpr' ? nodeOf(item) : undefined;
    if (left?.kind === 'A_Expr') level.push(left.fields);
    else if (typeof item === 'object' && item !== null) next.push(item);
  }
}

function notUnderstood(): RefusedText {
  return new RefusedText('statement-not-understood', 'the parser gave no statements');
}
