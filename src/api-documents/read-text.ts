import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { messageOf } from '../std/index.ts';
import { DocumentError } from './errors.ts';
import { quoted } from './values.ts';

/**
 * The value of a text of JSON or YAML: names of an object are its own whatever they are, and each is there once. What YAML repeats by an alias is one
 * value, shared. @throws DocumentError ERR_DOCUMENT_FORM | ERR_DOCUMENT_SIZE
 */
export function readText(text: string): unknown {
  if (/^\s*[{[]/.test(text)) {
    const value = parsedJson(text);
    if (value !== undefined) return value.value;
  }
  if (text.length > YAML_CHARS_MAX)
    throw new DocumentError(
      'ERR_DOCUMENT_SIZE',
      `it has ${text.length} characters of YAML, of which ${YAML_CHARS_MAX} are read; convert it to JSON, of which more is read`,
    );
  return readYaml(text);
}

/** Undefined: it is no JSON, and may be YAML that begins alike. */
function parsedJson(text: string): { readonly value: unknown } | undefined {
  checkJsonDepth(text);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  checkJsonNames(text);
  return { value };
}

/** Before it is parsed, since what parses deeper is of no use. */
function checkJsonDepth(text: string): void {
  let depth = 0;
  eachSign(text, (sign) => {
    if (sign === '{' || sign === '[') depth++;
    else if (sign === '}' || sign === ']') depth--;
    if (depth > DEPTH_MAX) throw tooDeep();
  });
}

/** Of text that is JSON. */
function checkJsonNames(text: string): void {
  /** Of each object that is open its names, of a list nothing. */
  const open: (Set<string> | undefined)[] = [];
  let last: readonly [start: number, end: number] = [0, 0];
  eachSign(text, (sign, start, end) => {
    if (sign === '{') open.push(new Set());
    else if (sign === '[') open.push(undefined);
    else if (sign === '}' || sign === ']') open.pop();
    else if (sign === '"') last = [start, end];
    else if (sign === ':') {
      const name: string = JSON.parse(text.slice(...last));
      const names = open.at(-1);
      if (names?.has(name) === true) throw nameTwice(name, text.slice(0, last[0]).split('\n').length);
      names?.add(name);
    }
  });
}

/** Signs outside of strings, and strings. */
function eachSign(text: string, call: (sign: string, start: number, end: number) => void): void {
  for (let at = 0; at < text.length; at++) {
    const sign = text[at] ?? '';
    if (sign === '"') {
      const start = at;
      for (at++; at < text.length && text[at] !== '"'; at++) if (text[at] === '\\') at++;
      call(sign, start, at + 1);
    } else if (SIGNS.has(sign)) call(sign, at, at + 1);
  }
}

interface Converted {
  readonly value: unknown;
  /** Values in it, each counted as often as it can be met. */
  readonly weight: number;
  readonly depth: number;
}

function readYaml(text: string): unknown {
  const lines = new LineCounter();
  let document: ReturnType<typeof parseDocument>;
  try {
    // Looking for names that are there twice takes the parser the square of them.
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false, logLevel: 'silent' });
  } catch (cause) {
    if (cause instanceof RangeError) throw tooDeep();
    throw new DocumentError('ERR_DOCUMENT_FORM', `it is no YAML: ${messageOf(cause)}`, { cause });
  }
  const [error] = document.errors;
  const lineAt = (offset = 0) => lines.linePos(offset).line;
  if (error !== undefined)
    throw new DocumentError('ERR_DOCUMENT_FORM', `line ${lineAt(error.pos[0])}: it is no YAML: ${error.message}`);
  return createConverter(lineAt)(document.contents).value;
}

function createConverter(lineAt: (offset?: number) => number) {
  /** The last of each name so far, which is what an alias means. */
  const anchors = new Map<string, unknown>();
  /** Undefined while it is being read: an alias to it would be a circle. */
  const known = new Map<unknown, Converted | undefined>();
  let aliases = 0;
  const convert = (node: unknown, level = 0): Converted => {
    if (level > DEPTH_MAX) throw tooDeep();
    if (isAlias(node)) {
      if (++aliases > ALIASES_MAX)
        throw new DocumentError(
          'ERR_DOCUMENT_SIZE',
          `it has more than ${ALIASES_MAX} aliases of YAML; write it without`,
        );
      const found = known.get(anchors.get(node.source));
      if (found === undefined)
        throw new DocumentError(
          'ERR_DOCUMENT_FORM',
          `line ${lineAt(node.range?.[0])}: the alias ${quoted(`*${node.source}`)} stands for nothing before it`,
        );
      return bounded(found);
    }
    if ((isScalar(node) || isMap(node) || isSeq(node)) && node.anchor !== undefined) anchors.set(node.anchor, node);
    known.set(node, undefined);
    const made = bounded(convertOwn(node, level));
    known.set(node, made);
    return made;
  };
  const convertOwn = (node: unknown, level: number): Converted => {
    if (isSeq(node))
      return joined(
        node.items.map((item) => convert(item, level + 1)),
        (values) => values,
      );
    if (!isMap(node)) return { value: isScalar(node) ? node.value : undefined, weight: 1, depth: 0 };
    const names = new Set<string>();
    for (const { key } of node.items) {
      const name = isScalar(key) ? String(key.value) : undefined;
      const line = lineAt(isNode(key) ? key.range?.[0] : node.range?.[0]);
      if (name === undefined) throw new DocumentError('ERR_DOCUMENT_FORM', `line ${line}: a name is no text`);
      if (names.has(name)) throw nameTwice(name, line);
      // Others read it as what it stands for, and what that has would be missing here.
      if (name === '<<' && isScalar(key) && key.type === 'PLAIN')
        throw new DocumentError('ERR_DOCUMENT_FORM', `line ${line}: it merges by <<, which is not read; write it out`);
      names.add(name);
    }
    const list = Array.from(names);
    return joined(
      node.items.map(({ value }) => convert(value, level + 1)),
      // Makes own properties of all of them.
      (values) => Object.fromEntries(values.map((value, index) => [list[index] ?? '', value])),
    );
  };
  return convert;
}

function joined(parts: readonly Converted[], make: (values: readonly unknown[]) => unknown): Converted {
  let weight = 1;
  let depth = 0;
  for (const part of parts) {
    weight += part.weight;
    depth = Math.max(depth, part.depth);
  }
  return { value: make(parts.map(({ value }) => value)), weight, depth: depth + 1 };
}

function bounded(converted: Converted): Converted {
  if (converted.depth > DEPTH_MAX) throw tooDeep();
  if (converted.weight > VALUES_MAX)
    throw new DocumentError('ERR_DOCUMENT_SIZE', 'its aliases stand for more values than are read; write it without');
  return converted;
}

function tooDeep(): DocumentError {
  return new DocumentError('ERR_DOCUMENT_SIZE', `it is deeper than ${DEPTH_MAX} levels`);
}

function nameTwice(name: string, line: number): DocumentError {
  return new DocumentError('ERR_DOCUMENT_FORM', `line ${line}: the name ${quoted(name)} is there twice; keep one`);
}

const SIGNS: ReadonlySet<string> = new Set(['{', '}', '[', ']', ':', '"']);
/** Some seconds of reading. */
const YAML_CHARS_MAX = 8 << 20;
const DEPTH_MAX = 100;
const ALIASES_MAX = 1_000;
/** More than the largest document has that is written out. */
const VALUES_MAX = 4_000_000;
