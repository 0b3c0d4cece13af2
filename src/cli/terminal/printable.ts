/**
 * Text for a terminal. Others have chosen many of the names in it (a table's, a node's, a policy's): what would move the cursor, colour,
 * clear or turn the direction of text is shown by its number, so that no name can hide or forge what stands around it.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (found) => `\\u{${(found.codePointAt(0) ?? 0).toString(16)}}`);
}

/** The same for what is to be one line whatever is in it. */
export function inOneLine(text: string): string {
  return printable(text.replace(/[\t\n]/g, ' '));
}

/** The value as one line of JSON that is shown as it stands: by JSON's own escapes, so that whoever parses it has the value as it is. */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value).replace(UNPRINTABLE, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`)}\n`;
}

/** Controls (C0 but tab and line feed, DEL, C1), separators of lines and paragraphs, and marks of direction. @see Unicode UAX #9 */
const UNPRINTABLE = /(?![\t\n])[\p{Cc}\u2028\u2029\p{Bidi_Control}]/gu;
