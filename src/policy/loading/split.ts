import { PolicyError } from '../errors.ts';
import type { PolicyPosition, PolicySource } from '../types.ts';

/** One policy's text within its source: from its first token to its semicolon. */
export interface PolicyText {
  readonly source: string;
  readonly text: string;
  /** Finds the place of an offset into `text` (UTF-16 units). */
  position(offset: number): PolicyPosition;
}

/**
 * Cuts a source at the semicolons that end policies, and refuses what Cedar's parser can not stand: it is compiled code that recurses
 * on a small stack, and an overflow leaves it broken for good. Text after the last semicolon is a policy of its own, for Cedar to refuse.
 * @throws PolicyError ERR_POLICY_LIMIT
 */
export function splitPolicies(source: PolicySource): PolicyText[] {
  const lines = lineStarts(source);
  const place = (offset: number) => positionAt(source.name, lines, offset);
  const byteCount = Buffer.byteLength(source.text);
  if (byteCount > POLICY_TEXT_BYTES_MAX)
    throw limit(place(0), `a policy text has at most ${POLICY_TEXT_BYTES_MAX} bytes, this one has ${byteCount}`);
  const policies: PolicyText[] = [];
  let weight = newWeight();
  let start = -1;
  let end = 0;
  for (const token of tokens(source.text)) {
    if (start < 0) start = token.start;
    end = token.end;
    weigh(weight, source.text.slice(token.start, token.end), place(token.start));
    if (source.text[token.start] !== ';') continue;
    policies.push(cut(source, place, start, end));
    weight = newWeight();
    start = -1;
  }
  if (start >= 0) policies.push(cut(source, place, start, end));
  return policies;
}

/**
 * The source without the policies that begin at those places (as {@link PolicyText} tells them), each with the comment that stands on the lines
 * right above it; what another policy or a blank line sets apart stays. Empty when no policy is left. @throws PolicyError ERR_POLICY_LIMIT
 */
export function cutPolicies(source: PolicySource, places: readonly Pick<PolicyPosition, 'line' | 'column'>[]): string {
  const { text } = source;
  const isCut = new Set(places.map(({ line, column }) => `${line}:${column}`));
  const lines = lineStarts(source);
  const offsetOf = ({ line, column }: PolicyPosition) => (lines[line - 1] ?? 0) + column - 1;
  let kept = '';
  let done = 0;
  let isAnyLeft = false;
  for (const policy of splitPolicies(source)) {
    const place = policy.position(0);
    const [start, end] = [offsetOf(place), offsetOf(place) + policy.text.length];
    if (!isCut.has(`${place.line}:${place.column}`)) {
      kept += text.slice(done, end);
      isAnyLeft = true;
      done = end;
    } else {
      kept += withoutOwnComment(text.slice(done, start), done > 0);
      done = text[end] === '\n' ? end + 1 : end;
    }
  }
  return isAnyLeft ? `${kept}${text.slice(done)}`.trimStart() : '';
}

/** What stands before a policy and stays when it goes: up to the last blank line, and what ends the line of the policy before. */
function withoutOwnComment(gap: string, followsPolicy: boolean): string {
  const blank = gap.search(/\n[ \t]*\r?\n(?![\s\S]*\n[ \t]*\r?\n)/);
  if (blank >= 0) return gap.slice(0, blank + 1);
  const lineEnd = gap.indexOf('\n');
  return followsPolicy && lineEnd >= 0 ? gap.slice(0, lineEnd + 1) : '';
}

/** Turns an offset in UTF-8 bytes, as Cedar counts, into one in UTF-16 units. */
export function unitsFromBytes(text: string, byteOffset: number): number {
  return Buffer.from(text).subarray(0, byteOffset).toString().length;
}

function cut(source: PolicySource, place: (offset: number) => PolicyPosition, start: number, end: number): PolicyText {
  return {
    source: source.name,
    text: source.text.slice(start, end),
    position: (offset) => place(start + offset),
  };
}

/**
 * Tokens as far as nesting and ends need them. Left out: blanks and comments, which end at either kind of line break, as in Cedar's
 * own lexer (else a text after a lone carriage return would be hidden from one of the two).
 */
export function* tokens(text: string): Generator<{ readonly start: number; readonly end: number }> {
  let at = 0;
  while (at < text.length) {
    const start = at;
    const char = text[at] ?? '';
    if (BLANK.test(char)) at += 1;
    else if (text.startsWith('//', at)) at = endOfComment(text, at);
    else {
      if (char === '"') at = endOfString(text, at);
      else if (WORD.test(char)) at = endOfWord(text, at);
      else at += PAIRS.has(text.slice(at, at + 2)) ? 2 : 1;
      yield { start, end: at };
    }
  }
}

function endOfComment(text: string, start: number): number {
  let at = start;
  while (at < text.length && text[at] !== '\n' && text[at] !== '\r') at += 1;
  return at;
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '"') return at + 1;
    if (text[at] === '\\') at += 1;
  }
  return text.length;
}

function endOfWord(text: string, start: number): number {
  let at = start;
  while (at < text.length && WORD.test(text[at] ?? '')) at += 1;
  return at;
}

interface Weight {
  nesting: number;
  operators: number;
  dots: number;
}

function newWeight(): Weight {
  return { nesting: 0, operators: 0, dots: 0 };
}

function weigh(weight: Weight, token: string, position: PolicyPosition): void {
  if (OPENING.has(token)) weight.nesting += 1;
  else if (CLOSING.has(token)) weight.nesting -= 1;
  else if (OPERATORS.has(token)) weight.operators += 1;
  else if (token === '.') weight.dots += 1;
  if (weight.nesting > NESTING_MAX) throw limit(position, `brackets nest at most ${NESTING_MAX} deep in a policy`);
  if (weight.operators > OPERATORS_MAX)
    throw limit(
      position,
      `a policy has at most ${OPERATORS_MAX} operators and conditions (&& || + - * ! if when unless)`,
    );
  if (weight.dots > DOTS_MAX) throw limit(position, `a policy reads at most ${DOTS_MAX} attributes`);
}

function limit(position: PolicyPosition, message: string): PolicyError {
  const where = `${position.source}:${position.line}:${position.column}`;
  const problem = {
    severity: 'error',
    code: 'ERR_POLICY_LIMIT',
    message,
    help: undefined,
    policy: undefined,
    position,
  } as const;
  return new PolicyError('ERR_POLICY_LIMIT', `${where}: ${message}`, { problems: [problem] });
}

function lineStarts(source: PolicySource): number[] {
  const starts = [0];
  for (let at = source.text.indexOf('\n'); at >= 0; at = source.text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

function positionAt(source: string, starts: readonly number[], offset: number): PolicyPosition {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return { source, line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
}

/** Every blank of Unicode: what stands here and Cedar does not know is left out between policies only. */
const BLANK = /[\s\u0085]/;
const WORD = /\w/;
const PAIRS = new Set(['&&', '||', '!=', '==', '<=', '>=', '::']);
const OPENING = new Set(['(', '[', '{']);
const CLOSING = new Set([')', ']', '}']);
const OPERATORS = new Set(['&&', '||', '+', '-', '*', '!', 'if', 'when', 'unless']);
/** A source is a file that a person reads. */
const POLICY_TEXT_BYTES_MAX = 1 << 20;
/** The parser's stack overflows at about 130 nested brackets, 600 operators or 1,500 dots; together these stay below it. */
const NESTING_MAX = 32;
const OPERATORS_MAX = 256;
const DOTS_MAX = 512;
