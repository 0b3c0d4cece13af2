import { setFlagsFromString } from 'node:v8';
import { hasSqlDetails, loadModule, parseSync } from 'libpg-query';
import { messageOf } from '../../../../std/index.ts';
import { SqlError } from './errors.ts';
import { isBrief, isShallow, statementsMax, tokensMax } from './nesting.ts';
import { RefusedText } from './refusal.ts';
import { fieldOf, isFields, type Node, nodeOf } from './tree.ts';

/** Longest text in bytes; what it costs is bounded by its tokens, see `tokensMax`. */
export const textBytesMax = 1 << 20;
/** Levels of JSON in a parsed text; each costs the walk about one stack frame. */
export const treeDepthMax = 1_500;

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

/** The statements of a text; none for an empty one. Throws {@link RefusedText} for what is no SQL or is over a limit. */
export function parseText(sql: string): readonly Node[] {
  if (!isLoaded) throw new SqlError('ERR_SQL_PARSER', 'the SQL parser was not loaded: await loadParser() at start');
  refuseMalformed(sql);
  if (sql.trim() === '') return [];
  const tree = parseTree(sql);
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

function refuseMalformed(sql: string): void {
  if (sql.length > textBytesMax || Buffer.byteLength(sql) > textBytesMax)
    throw new RefusedText('text-too-long', `a statement text has at most ${textBytesMax} bytes`);
  // The parser stops at NUL and would not see what follows; PostgreSQL's protocol can't carry one either.
  if (sql.includes('\0') || !sql.isWellFormed())
    throw new RefusedText('text-malformed', 'a statement text is UTF-8 without NUL');
  if (!isBrief(sql))
    throw new RefusedText('text-too-long', `a text has at most ${tokensMax} tokens and ${statementsMax} statements`, {
      hint: 'Send it in parts, or bulk data by COPY.',
    });
  if (!isShallow(sql)) throw new RefusedText('text-too-deep', 'the statement nests too deeply to be understood');
}

function parseTree(sql: string): unknown {
  try {
    return parseSync(sql);
  } catch (error) {
    if (error instanceof RangeError)
      throw new RefusedText('text-too-deep', 'the statement nests too deeply to be understood');
    if (!hasSqlDetails(error)) throw new RefusedText('statement-not-understood', 'the statement could not be parsed');
    const position = error.sqlDetails?.cursorPosition;
    const isMemory = messageOf(error).startsWith('memory exhausted');
    throw new RefusedText(isMemory ? 'text-too-deep' : 'syntax-error', messageOf(error), {
      ...(position === undefined ? {} : { position: position + 1 }),
    });
  }
}

/** Bounds the depth of the tree with an own stack, since everything after this walks it by recursion. */
function refuseDeep(tree: unknown): void {
  let level: unknown[] = [tree];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > treeDepthMax) throw new RefusedText('text-too-deep', 'the statement nests too deeply to be understood');
    const next: unknown[] = [];
    for (const value of level) {
      if (Array.isArray(value)) for (const item of value) next.push(item);
      else if (isFields(value)) for (const item of Object.values(value)) if (typeof item === 'object') next.push(item);
    }
    level = next;
  }
}

function notUnderstood(): RefusedText {
  return new RefusedText('statement-not-understood', 'the parser gave no statements');
}
