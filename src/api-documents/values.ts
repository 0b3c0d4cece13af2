/** An object as a document has it; its names may be any, `__proto__` among them. */
export type Fields = Readonly<Record<string, unknown>>;

/** Undefined for what is no object. */
export function fieldsOf(value: unknown): Fields | undefined {
  // An object that is no list has names and values.
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

/** The value of that name, if it is the object's own. */
export function own(fields: Fields | undefined, name: string): unknown {
  return fields !== undefined && Object.hasOwn(fields, name) ? fields[name] : undefined;
}

/** The object of that name. */
export function ownFields(fields: Fields | undefined, name: string): Fields | undefined {
  return fieldsOf(own(fields, name));
}

/** The list of that name; none when there is no list. */
export function ownList(fields: Fields | undefined, name: string): readonly unknown[] {
  const value = own(fields, name);
  return Array.isArray(value) ? value : [];
}

/** The text of that name. */
export function ownText(fields: Fields | undefined, name: string): string | undefined {
  const value = own(fields, name);
  return typeof value === 'string' ? value : undefined;
}

/** A text of a document as a message has it. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > CHARS_SHOWN_MAX ? `${text.slice(0, CHARS_SHOWN_MAX)}…` : text);
}

const CHARS_SHOWN_MAX = 120;
