/**
 * Reading the parser's JSON. A node of a variable type is wrapped, `{ "SelectStmt": { … } }`; a field of one fixed type is not. Every
 * access goes by own keys: a field named `constructor` exists in this grammar, and the prototype has one as well.
 */

/** A node's fields. */
export type Fields = { readonly [name: string]: unknown };

/** A node with its kind. */
export interface Node {
  readonly kind: string;
  readonly fields: Fields;
}

const noFields: Fields = {};

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The field's value, or undefined; never something of the prototype. */
export function fieldOf(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

/** An unwrapped node in a field; no fields when it is absent. */
export function fieldsOf(fields: Fields, name: string): Fields {
  const value = fieldOf(fields, name);
  return isFields(value) ? value : noFields;
}

export function hasField(fields: Fields, name: string): boolean {
  return fieldOf(fields, name) !== undefined;
}

export function textOf(fields: Fields, name: string): string | undefined {
  const value = fieldOf(fields, name);
  return typeof value === 'string' ? value : undefined;
}

export function flagOf(fields: Fields, name: string): boolean {
  return fieldOf(fields, name) === true;
}

export function listOf(fields: Fields, name: string): readonly unknown[] {
  const value = fieldOf(fields, name);
  return Array.isArray(value) ? value : [];
}

/** The wrapped node in `value`; undefined when it is something else. */
export function nodeOf(value: unknown): Node | undefined {
  if (!isFields(value)) return undefined;
  const keys = Object.keys(value);
  const kind = keys[0];
  if (keys.length !== 1 || kind === undefined) return undefined;
  const first = kind.charCodeAt(0);
  if (first < 0x41 || first > 0x5a) return undefined;
  const fields = value[kind];
  return isFields(fields) ? { kind, fields } : undefined;
}

/** The wrapped node in a field. */
export function childOf(fields: Fields, name: string): Node | undefined {
  return nodeOf(fieldOf(fields, name));
}

/** The text of a `String` node. */
export function stringOf(value: unknown): string | undefined {
  const node = nodeOf(value);
  return node?.kind === 'String' ? (textOf(node.fields, 'sval') ?? '') : undefined;
}

/** The texts of a list of `String` nodes; undefined as soon as one is something else. */
export function stringsOf(values: readonly unknown[]): readonly string[] | undefined {
  const texts: string[] = [];
  for (const value of values) {
    const text = stringOf(value);
    if (text === undefined) return undefined;
    texts.push(text);
  }
  return texts;
}

/** A constant of the text: string, number as text, boolean; null for NULL; undefined when the node is no constant. */
export function constantOf(value: unknown): string | boolean | null | undefined {
  const node = nodeOf(value);
  if (node?.kind === 'TypeCast') return constantOf(fieldOf(node.fields, 'arg'));
  if (node?.kind !== 'A_Const') return undefined;
  const { fields } = node;
  if (flagOf(fields, 'isnull')) return null;
  if (hasField(fields, 'sval')) return textOf(fieldsOf(fields, 'sval'), 'sval') ?? '';
  if (hasField(fields, 'fval')) return textOf(fieldsOf(fields, 'fval'), 'fval') ?? '';
  if (hasField(fields, 'boolval')) return flagOf(fieldsOf(fields, 'boolval'), 'boolval');
  if (hasField(fields, 'ival')) {
    const integer = fieldOf(fieldsOf(fields, 'ival'), 'ival');
    return typeof integer === 'number' ? String(integer) : '0';
  }
  return undefined;
}

/** Where in its text a node stands, in bytes. */
export function locationOf(fields: Fields): number | undefined {
  const location = fieldOf(fields, 'location');
  return typeof location === 'number' ? location : undefined;
}
