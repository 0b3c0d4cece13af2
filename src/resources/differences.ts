/**
 * One line for each place where two JSON values differ: `config.host: "db1" → "db2"`. At most {@link LINES_MAX} lines. Values under a name that
 * smells of a secret are shown only when they are references, and long texts are cut.
 */
export function differencesOf(before: unknown, after: unknown): readonly string[] {
  const lines: string[] = [];
  compare('', before, after, lines);
  if (lines.length <= LINES_MAX) return lines;
  return [...lines.slice(0, LINES_MAX), `… and ${lines.length - LINES_MAX} more differences`];
}

/** True when both are the same JSON value; the order of names in an object does not matter. */
export function compareJson(a: unknown, b: unknown): boolean {
  const lines: string[] = [];
  compare('', a, b, lines);
  return lines.length === 0;
}

function compare(path: string, before: unknown, after: unknown, lines: string[]): void {
  if (Object.is(before, after)) return;
  if (isContainer(before) && isContainer(after) && Array.isArray(before) === Array.isArray(after)) {
    for (const name of namesOf(before, after)) compare(join(path, name), before[name], after[name], lines);
    return;
  }
  // Something that is new or gone as a whole is shown leaf by leaf, so that each leaf is judged by its own name.
  if (before === undefined && isFull(after)) {
    for (const [name, value] of Object.entries(after)) compare(join(path, name), undefined, value, lines);
  } else if (after === undefined && isFull(before)) {
    for (const [name, value] of Object.entries(before)) compare(join(path, name), value, undefined, lines);
  } else {
    lines.push(`${path || 'spec'}: ${show(path, before)} → ${show(path, after)}`);
  }
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
  const reference = typeof value === 'string' && REFERENCE.test(value);
  if (SECRET_NAME.test(path) && !reference && value !== null && typeof value !== 'boolean') return '[redacted]';
  const text = JSON.stringify(isContainer(value) ? shape(value) : value);
  return text.length > TEXT_CHARS_MAX ? `${text.slice(0, TEXT_CHARS_MAX)}…` : text;
}

/** A container set against something that is none is named, not shown: its leaves may be secrets under names of their own. */
function shape(value: Container): string | Container {
  return Object.keys(value).length === 0 ? value : Array.isArray(value) ? 'a list' : 'an object';
}

/** Specs hold references; a value put inline by mistake must not reach a terminal or a log. */
const SECRET_NAME = /passw|passphrase|secret|token|credential|private|apikey|api_key|(^|\.)key$/i;
const REFERENCE = /^(env|file|keystore):/;
const LINES_MAX = 200;
const TEXT_CHARS_MAX = 120;
