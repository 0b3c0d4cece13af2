/**
 * Writes NULL in the place of masked columns: `((null::"public"."customers")."email")`, a value of the column's own type, collation and name in
 * the answer, which reads no row. A text is only rewritten when its tree comes out as the old one with nothing but these references changed;
 * what it may do is judged as if the client had sent it (decision 0024).
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { Rewritten } from '../plan.ts';
import { maskedUse } from '../refusal.ts';
import { parseText } from '../text/parse.ts';
import {
  type Fields,
  fieldOf,
  fieldsOf,
  isFields,
  listOf,
  locationOf,
  type Node,
  nodeOf,
  stringsOf,
} from '../text/tree.ts';
import type { Masked } from '../walk/scope.ts';
import type { DerivedReads } from './derived.ts';

/** The text with NULL in these places, and its statements. Throws the refusal `masked-column-use` where that isn't certain. */
export function rewriteReads(
  text: { readonly sql: string; readonly nodes: readonly Node[] },
  reads: DerivedReads,
  catalog: Catalog,
): Rewritten & { readonly nodes: readonly Node[] } {
  const bytes = Buffer.from(text.sql);
  const pieces: string[] = [];
  const replaced: { at: number; length: number; of: number }[] = [];
  const instead = new Map<Fields, unknown>();
  const parsed = new Map<string, unknown>();
  const columns = new Set<string>();
  let from = 0;
  let characters = 0;
  for (const [node, masked] of Array.from(reads).sort(([a], [b]) => placeOf(a) - placeOf(b))) {
    const column = columnOf(catalog, masked);
    const written = writtenAt(bytes, node);
    if (column === undefined || written === undefined || placeOf(node) < from) throw maskedUse(column?.name);
    const before = bytes.toString('utf8', from, placeOf(node));
    const expression = nullOf(column, labelOf(node));
    characters += lengthOf(before);
    replaced.push({ at: characters, length: lengthOf(expression), of: lengthOf(written) });
    characters += lengthOf(expression);
    pieces.push(before, expression);
    from = placeOf(node) + Buffer.byteLength(written);
    if (!parsed.has(expression)) parsed.set(expression, parsedExpression(expression));
    instead.set(node, parsed.get(expression));
    columns.add(`${column.schema}.${column.relation}.${column.name}`);
  }
  pieces.push(bytes.toString('utf8', from));
  const sql = pieces.join('');
  const nodes = parseText(sql);
  if (likenessOf(nodes, new Map()) !== likenessOf(text.nodes, instead)) throw maskedUse();
  return { sql, replaced, columns: Array.from(columns).sort(), nodes };
}

/** Where in the client's text is what stands at that character of the rewritten one, both counted from 1. */
export function positionInOwnText({ replaced }: Rewritten, position: number): number {
  let grown = 0;
  for (const { at, length, of } of replaced) {
    if (position - 1 < at) break;
    if (position - 1 < at + length) return at - grown + 1;
    grown += length - of;
  }
  return position - grown;
}

interface Column {
  readonly schema: string;
  readonly relation: string;
  readonly name: string;
}

function columnOf(catalog: Catalog, { attribute }: Masked): Column | undefined {
  const [oid, number] = attribute.split(':').map(Number);
  const relation = oid === undefined ? undefined : catalog.relations.get(oid);
  const column = relation?.columns.find(({ attributeNumber }) => attributeNumber === number);
  return relation && column && { schema: relation.schema, relation: relation.name, name: column.name };
}

/** Under another name than the column's, a subquery keeps it: the server calls answers by the names of what is in them. */
function nullOf({ schema, relation, name }: Column, label: string | undefined): string {
  const field = `(null::${quoted(schema)}.${quoted(relation)}).${quoted(name)}`;
  return label === undefined || label === name ? `(${field})` : `(select ${field} as ${quoted(label)})`;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function placeOf(node: Fields): number {
  return locationOf(node) ?? 0;
}

/** The name that a reference gives to an answer; undefined for a number. */
function labelOf(node: Fields): string | undefined {
  return stringsOf(listOf(node, 'fields'))?.at(-1);
}

/** What stands in the text for that reference or number; undefined when it isn't plain to see where it ends. */
function writtenAt(bytes: Buffer, node: Fields): string | undefined {
  const text = bytes.toString('utf8', placeOf(node), placeOf(node) + WRITTEN_BYTES_MAX);
  const number = fieldOf(fieldsOf(node, 'ival'), 'ival');
  if (typeof number === 'number') return /^\d+/.exec(text)?.[0] === String(number) ? String(number) : undefined;
  const names = stringsOf(listOf(node, 'fields'));
  const written = NAMES.exec(text)?.[0];
  const said = written?.match(ONE_NAME)?.map(unquoted);
  return JSON.stringify(said) === JSON.stringify(names) ? written : undefined;
}

/** As the server reads it: letters beyond ASCII stay as they are in UTF8. */
function unquoted(name: string): string {
  if (name.startsWith('"')) return name.slice(1, -1).replaceAll('""', '"');
  return name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function parsedExpression(expression: string): unknown {
  const [statement] = parseText(`select ${expression}`);
  const target = nodeOf(listOf(statement?.fields ?? {}, 'targetList')[0]);
  return fieldOf(target?.fields ?? {}, 'val');
}

/** The trees as one text, without the places where their nodes stand; what is to be changed counts as changed. */
function likenessOf(nodes: readonly Node[], instead: ReadonlyMap<Fields, unknown>): string {
  return JSON.stringify(nodes, (name, value: unknown) => {
    if (PLACES.test(name)) return undefined;
    const node = isFields(value) ? nodeOf(value) : undefined;
    return (node && instead.get(node.fields)) ?? value;
  });
}

function lengthOf(text: string): number {
  let characters = 0;
  for (const _ of text) characters++;
  return characters;
}

/** Four names of 63 bytes, each letter of them in quotes, and some space between. */
const WRITTEN_BYTES_MAX = 1_000;
const NAME = String.raw`(?:[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|"(?:[^"]|"")+")`;
const NAMES = new RegExp(String.raw`^${NAME}(?:\s*\.\s*${NAME})*`);
const ONE_NAME = new RegExp(NAME, 'g');
const PLACES = /^(location|stmt_location|stmt_len|(rexpr_)?list_(start|end))$/;
