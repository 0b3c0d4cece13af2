import type { PolicyName, PolicyPosition, PolicySummary } from '../types.ts';
import { tokens } from './split.ts';

/** Where a policy names something; the policy's beginning when that can't be told. */
export function placeOfName({ text, position }: PolicySummary, name: PolicyName): PolicyPosition {
  return placeAt(
    text,
    position,
    name.written === 'entity' ? offsetOfEntity(text, name) : offsetOfLiteral(text, name.id),
  );
}

/** Where its annotation of that name stands. */
export function placeOfAnnotation({ text, position }: PolicySummary, annotation: string): PolicyPosition {
  let before: { readonly start: number; readonly word: string } | undefined;
  for (const { start, end } of tokens(text)) {
    const word = text.slice(start, end);
    if (before?.word === '@' && word === annotation) return placeAt(text, position, before.start);
    before = { start, word };
  }
  return position;
}

/** `A::B::"id"`: a path of names that ends in a string. */
function offsetOfEntity(text: string, { type, id }: PolicyName): number | undefined {
  let path = '';
  let pathStart = 0;
  for (const { start, end } of tokens(text)) {
    const word = text.slice(start, end);
    if (word.startsWith('"') && path === `${type}::` && unescaped(word) === id) return pathStart;
    if (word === '::') path += word;
    else if (path.endsWith('::')) path += word;
    else {
      path = word;
      pathStart = start;
    }
  }
  return undefined;
}

function offsetOfLiteral(text: string, value: string): number | undefined {
  for (const { start, end } of tokens(text)) {
    const word = text.slice(start, end);
    if (word.startsWith('"') && unescaped(word) === value) return start;
  }
  return undefined;
}

/** What a string of Cedar means; its escapes are those of Rust, and Cedar has accepted them. */
function unescaped(quoted: string): string {
  return quoted
    .slice(1, -1)
    .replaceAll(ESCAPE, (_, unicode: string | undefined, byte: string | undefined, letter: string | undefined) => {
      const code = unicode ?? byte;
      if (code === undefined) return ESCAPED.get(letter ?? '') ?? letter ?? '';
      return String.fromCodePoint(Math.min(Number.parseInt(code, 16), CODE_POINT_MAX));
    });
}

function placeAt(text: string, start: PolicyPosition, offset = 0): PolicyPosition {
  const before = text.slice(0, offset);
  const lines = before.split('\n').length - 1;
  const column = lines === 0 ? start.column + offset : offset - before.lastIndexOf('\n');
  return { source: start.source, line: start.line + lines, column };
}

const ESCAPE = /\\(?:u\{([0-9a-fA-F]{1,6})\}|x([0-7][0-9a-fA-F])|(.))/gsu;
const CODE_POINT_MAX = 0x10_ff_ff;
const ESCAPED: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['0', '\0'],
]);
