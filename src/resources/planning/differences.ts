import { lineDifferences, linesOfText, piecesThatDiffer } from './text-difference.ts';

/**
 * Where two JSON values differ: `config.host: "db1" → "db2"`, and for texts of lines the lines that changed, `cedar -12: old` and
 * `cedar +12: new`, of one that is new or gone all of them. At most {@link LINES_MAX} lines. Values under a name that smells of a secret are shown only when they are references;
 * of long texts that part is shown where they differ.
 */
export function differencesOf(before: unknown, after: unknown): readonly string[] {
  const found: Difference[] = [];
  compare('', { before, after }, found);
  const lines = found.flatMap(linesOf);
  if (lines.length <= LINES_MAX) return lines;
  return [...lines.slice(0, LINES_MAX), `… and ${lines.length - LINES_MAX} more differences`];
}

/** True when both are the same JSON value; the order of names in an object does not matter. */
export function compareJson(a: unknown, b: unknown): boolean {
  const found: Difference[] = [];
  compare('', { before: a, after: b }, found);
  return found.length === 0;
}

interface Sides {
  readonly before: unknown;
  readonly after: unknown;
}

interface Difference extends Sides {
  readonly path: string;
}

function compare(path: string, { before, after }: Sides, found: Difference[]): void {
  if (Object.is(before, after)) return;
  if (isContainer(before) && isContainer(after) && Array.isArray(before) === Array.isArray(after)) {
    for (const name of namesOf(before, after))
      compare(join(path, name), { before: before[name], after: after[name] }, found);
    return;
  }
  // Something that is new or gone as a whole is shown leaf by leaf, so that each leaf is judged by its own name.
  if (before === undefined && isFull(after)) {
    for (const [name, value] of Object.entries(after)) compare(join(path, name), { before, after: value }, found);
  } else if (after === undefined && isFull(before)) {
    for (const [name, value] of Object.entries(before)) compare(join(path, name), { before: value, after }, found);
  } else {
    found.push({ path, before, after });
  }
}

function linesOf({ path, before, after }: Difference): readonly string[] {
  const name = path || 'spec';
  const areTexts = typeof before === 'string' && typeof after === 'string';
  if (!areTexts || isSecret(path, before) || isSecret(path, after)) {
    const [sign, whole] = before === undefined ? ['+', after] : ['-', after === undefined ? before : undefined];
    if (typeof whole === 'string' && isToBeRead(whole) && !isSecret(path, whole))
      return linesOfText(whole).map((line, index) => `${name} ${sign}${index + 1}: ${line}`);
    return [`${name}: ${show(path, before)} → ${show(path, after)}`];
  }
  if (isOfLines(before) || isOfLines(after)) return lineDifferences(before, after).map((line) => `${name} ${line}`);
  const pieces = piecesThatDiffer(before, after).map(({ lead, text, rest }) => `${lead}${JSON.stringify(text)}${rest}`);
  return [`${name}: ${pieces.join(' → ')}`];
}

function isOfLines(text: string): boolean {
  return text.trimEnd().includes('\n');
}

/** What ends with a line's end is a file, be it of one line; else it is a name, unless it is too long to be one. */
function isToBeRead(text: string): boolean {
  return text.includes('\n') || text.length > NAME_CHARS_MAX;
}

type Container = Readonly<Record<string, unknown>>;

function isContainer(value: unknown): value is Container {
  return typeof value === 'object' && value !== null;
}

function isFull(value: unknown): value is Container {
  return isContainer(value) && Object.keys(value).length > 0;
}

function namesOf(before: Container, after: Container): readonly string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])];
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

function show(path: string, value: unknown): string {
  if (value === undefined) return 'none';
  if (isSecret(path, value)) return '[redacted]';
  const text = JSON.stringify(isContainer(value) ? shape(value) : value);
  return text.length > TEXT_CHARS_MAX ? `${text.slice(0, TEXT_CHARS_MAX)}…` : text;
}

function isSecret(path: string, value: unknown): boolean {
  const isText = typeof value === 'string';
  if (isText && SECRET_TEXT.test(value)) return true;
  const isReference = isText && REFERENCE.test(value);
  return SECRET_NAME.test(path) && !isReference && value !== null && value !== undefined && typeof value !== 'boolean';
}

/** A container set against something that is none is named, not shown: its leaves may be secrets under names of their own. */
function shape(value: Container): string | Container {
  return Object.keys(value).length === 0 ? value : Array.isArray(value) ? 'a list' : 'an object';
}

/** Specs hold references; a value put inline by mistake must not reach a terminal or a log. */
const SECRET_NAME = /passw|passphrase|secret|token|credential|private|apikey|api_key|(^|\.)key$/i;
/** Whatever it is called: the PEM label of every form of private key (RFC 7468 §10, §11). */
const SECRET_TEXT = /PRIVATE KEY-----/;
const REFERENCE = /^(env|file|keystore):/;
/** The longest policy that somebody still reads; one message holds a thousand of them. */
const LINES_MAX = 1000;
const TEXT_CHARS_MAX = 120;
/** A line of a terminal, about. */
const NAME_CHARS_MAX = 80;
