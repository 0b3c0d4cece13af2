/**
 * A parsed statement as JSON without what planning does not look at twice: of items that are alike in a list of VALUES or of IN, one is
 * kept. So a statement of a million values crosses from the parser's thread as a few hundred bytes, and is walked as fast. Recurses as deep
 * as the tree, for which that thread has the stack.
 */
import { isFields, nodeOf } from './tree.ts';

/** Items are alike when they differ in nothing but constants that stand in the list as they are, and in where they stand in the text. */
export function reducedJson(tree: unknown): string {
  const parts: string[] = [];
  write(tree, '', parts);
  return parts.join('');
}

function write(value: unknown, place: string, parts: string[]): void {
  if (Array.isArray(value)) writeList(value, place, parts);
  else if (isFields(value)) {
    const node = nodeOf(value);
    let separator = '{';
    for (const [name, item] of Object.entries(value)) {
      parts.push(separator, JSON.stringify(name), ':');
      separator = ',';
      if (node !== undefined) writeFields(node.kind, item, parts, place);
      else write(item, name, parts);
    }
    parts.push(separator === '{' ? '{}' : '}');
  } else parts.push(JSON.stringify(value) ?? 'null');
}

function writeFields(kind: string, fields: unknown, parts: string[], place: string): void {
  let separator = '{';
  for (const [name, item] of Object.entries(isFields(fields) ? fields : {})) {
    parts.push(separator, JSON.stringify(name), ':');
    separator = ',';
    // IN holds its values in a list of their own. A row of VALUES keeps its width.
    write(item, kind === 'List' && place === IN_LIST ? place : `${kind}.${name}`, parts);
  }
  parts.push(separator === '{' ? '{}' : '}');
}

function writeList(items: readonly unknown[], place: string, parts: string[]): void {
  const seen = openPlaces.has(place) && items.length > 1 ? new Set<string>() : undefined;
  let separator = '';
  parts.push('[');
  for (const item of items) {
    if (seen !== undefined) {
      const likeness = likenessOf(item);
      if (seen.has(likeness)) continue;
      if (seen.size < LIKENESSES_MAX) seen.add(likeness);
    }
    parts.push(separator);
    separator = ',';
    write(item, place, parts);
  }
  parts.push(']');
}

function likenessOf(item: unknown): string {
  const node = nodeOf(item);
  const isRow = node?.kind === 'List' && Array.isArray(node.fields['items']);
  const cells = isRow ? (node.fields['items'] as readonly unknown[]) : [item]; // Just found to be a list.
  const parts: string[] = [isRow ? '(' : ''];
  for (const cell of cells) {
    const kind = nodeOf(cell)?.kind;
    if (kind === 'A_Const' || kind === 'ParamRef') parts.push('?');
    else parts.push(JSON.stringify(cell, withoutLocation));
    parts.push(',');
  }
  return parts.join('');
}

function withoutLocation(name: string, value: unknown): unknown {
  return name === 'location' || name.startsWith('rexpr_list_') ? undefined : value;
}

const IN_LIST = 'A_Expr.rexpr';
const openPlaces: ReadonlySet<string> = new Set(['SelectStmt.valuesLists', IN_LIST]);
/** A list whose items are all different gains nothing from remembering them. */
const LIKENESSES_MAX = 1_000;
