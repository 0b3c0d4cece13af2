/* Long because one pass over the bytes is one automaton, and its tables belong to it. */
import { ByteBox } from './byte-box.ts';
import { JsonError } from './errors.ts';
import { writeMasked } from './masked-value.ts';
import { NumberShape } from './number-shape.ts';
import { deadState, type JsonMask, type PathState } from './path-states.ts';
import { StringShape } from './string-shape.ts';

/** Most bytes and levels; see {@link jsonLimits}. */
export interface JsonLimits {
  readonly depth: number;
  /** Of one name, between its quotes, where a rule may match it. */
  readonly nameBytes: number;
  /** Of one scalar under a mask, as it stands in the document. */
  readonly scalarBytes: number;
  /** Of one event of an event stream. */
  readonly eventBytes: number;
}

/**
 * Reads JSON as it comes and writes it with rules applied, whatever the cuts. UTF-8 is somebody else's care.
 * What it has no rule for costs no allocation: a chunk without masks is given back as it is.
 */
export class JsonScanner {
  /** Values masked so far. */
  masked = 0;
  /** Elements of outermost arrays so far, and outermost values that are none. */
  items = 0;
  readonly #root: PathState;
  readonly #isLines: boolean;
  readonly #limits: JsonLimits;
  readonly #frames: PathState[] = [];
  readonly #arrays: boolean[] = [];
  readonly #string = new StringShape();
  readonly #number = new NumberShape();
  readonly #out = new ByteBox();
  /** A name or masked scalar that began in an earlier chunk. */
  readonly #carry = new ByteBox();
  #phase = VALUE;
  #depth = 0;
  /** Of the innermost open container: rules for its names, or for its elements. */
  #frame: PathState;
  /** Rules for the value that comes next. */
  #child: PathState;
  #mask: JsonMask | undefined;
  #literal = NOTHING;
  #literalAt = 0;
  /** Where the current token begins; 0 when in an earlier chunk. */
  #tokenAt = 0;
  /** Up to where the chunk is written or dropped. */
  #copied = 0;
  /** Depth at which a masked container was opened; -1 = none. */
  #swallowed = -1;
  #consumed = 0;

  constructor(root: PathState, { isLines, limits }: { readonly isLines: boolean; readonly limits: JsonLimits }) {
    this.#root = root;
    this.#frame = root;
    this.#child = root;
    this.#isLines = isLines;
    this.#limits = limits;
  }

  get heldBytes(): number {
    return this.#carry.length;
  }

  /** The next bytes as they are shown; undefined = nothing of them yet. @throws JsonError */
  push(chunk: Buffer): Buffer | undefined {
    this.#copied = 0;
    this.#tokenAt = 0;
    this.#scan(chunk, chunk.length);
    this.#consumed += chunk.length;
    if (this.#phase >= IN_STRING && this.#isHeld()) this.#hold(chunk);
    else if (this.#swallowed === -1 && this.#copied === 0 && this.#out.length === 0 && chunk.length > 0) return chunk;
    else if (this.#swallowed === -1) this.#emit(chunk, chunk.length);
    return this.#out.length === 0 ? undefined : this.#out.take();
  }

  /** No more bytes come. @throws JsonError ERR_JSON_SYNTAX when a value is unfinished, or there is none */
  end(): Buffer | undefined {
    this.#copied = 0;
    if (this.#phase === IN_NUMBER && this.#number.isWhole) {
      this.#endScalar(NOTHING, 0);
      this.#phase = AFTER;
    }
    const isBetween = this.#depth === 0 && (this.#phase === AFTER || (this.#isLines && this.#phase === VALUE));
    if (!isBetween) throw this.#fault('ends in the middle of a value', 0);
    return this.#out.length === 0 ? undefined : this.#out.take();
  }

  /** Is what we are in the middle of needed again as a whole? */
  #isHeld(): boolean {
    return this.#mask !== undefined || (this.#phase === IN_NAME && !this.#frame.isDead);
  }

  #hold(chunk: Buffer): void {
    // A name is shown as it comes, only looked at later.
    if (this.#mask === undefined) this.#emit(chunk, chunk.length);
    this.#carry.add(chunk, this.#tokenAt, chunk.length);
    this.#checkToken(this.#carry.length);
  }

  #scan(b: Buffer, end: number): void {
    let i = this.#phase < IN_STRING ? 0 : this.#resume(b, end);
    if (i < 0) return;
    let phase = this.#phase;
    while (i < end) {
      const c = b[i] ?? 0;
      if (c <= SPACE) {
        if (c === LF && this.#isLines) phase = this.#endLine(phase, i);
        else if (c !== SPACE && c !== LF && c !== TAB && (c !== CR || (this.#isLines && this.#depth > 0)))
          throw this.#fault('holds a character that may not stand there', i);
        i++;
      } else if (phase === VALUE && c === QUOTE && this.#child.mask === undefined) {
        let j = i + 1;
        while (j < end && STRING_PLAIN[b[j] ?? 0] === 1) j++;
        if (this.#depth === 0) this.items++;
        if (j < end && b[j] === QUOTE) i = j + 1;
        else {
          this.#string.open();
          i = this.#stringRest(b, j, end);
        }
        if (i < 0) {
          this.#phase = IN_STRING;
          return;
        }
        phase = AFTER;
      } else if (phase === AFTER) {
        if (c === COMMA && this.#depth > 0) {
          phase = this.#arrays[this.#depth] ? VALUE : NAME;
          if (this.#depth === 1 && phase === VALUE) this.items++;
          this.#child = this.#frame;
        } else this.#close(c, i);
        i++;
      } else if (phase === COLON) {
        if (c !== COLON_SIGN) throw this.#fault('lacks a colon', i);
        phase = VALUE;
        i++;
      } else if (c === QUOTE && (phase === NAME || phase === FIRST_NAME)) {
        i = this.#name(b, i, end);
        if (i < 0) {
          this.#phase = IN_NAME;
          return;
        }
        phase = COLON;
      } else if (phase === FIRST_NAME || (phase === FIRST_ELEMENT && c === CLOSE_BRACKET)) {
        this.#close(c, i++);
        phase = AFTER;
      } else if (phase === NAME) throw this.#fault('lacks a name', i);
      else if (c === OPEN_BRACE || c === OPEN_BRACKET) {
        this.#countFirst(phase, c);
        phase = this.#open(c, b, i++);
      } else {
        // FIRST_ELEMENT takes a value as well.
        this.#countFirst(phase, c);
        i = this.#scalar(b, i, end);
        if (i < 0) return;
        phase = AFTER;
      }
    }
    this.#phase = phase;
  }

  /** The rest of a token that began in an earlier chunk; -1 when it does not end in this one either. */
  #resume(b: Buffer, end: number): number {
    const phase = this.#phase;
    const i =
      phase === IN_NUMBER
        ? this.#numberRest(b, 0, end)
        : phase === IN_LITERAL
          ? this.#literalRest(b, 0, end)
          : this.#stringRest(b, 0, end);
    if (i < 0) return i;
    if (phase === IN_NAME) this.#endName(b, i);
    else this.#endScalar(b, i);
    this.#phase = phase === IN_NAME ? COLON : AFTER;
    return i;
  }

  /** An outermost value, or the first element of an outermost array; the others are told by their comma. */
  #countFirst(phase: number, c: number): void {
    if (this.#depth === 0 ? c !== OPEN_BRACKET : this.#depth === 1 && phase === FIRST_ELEMENT) this.items++;
  }

  /** Lines hold whole values, one at most: a reader by lines and one by brackets then see the same. */
  #endLine(phase: number, at: number): number {
    if (this.#depth > 0) throw this.#fault('breaks a value into lines', at);
    this.#child = this.#root;
    return phase === AFTER ? VALUE : phase;
  }

  #open(c: number, b: Buffer, at: number): number {
    if (this.#depth >= this.#limits.depth)
      throw new JsonError('ERR_JSON_LIMIT', `the JSON nests deeper than ${this.#limits.depth} levels`);
    let state = this.#child;
    if (state.mask !== undefined) {
      this.#emit(b, at);
      this.#out.add(NULL, 0, NULL.length);
      this.#swallowed = this.#depth;
      this.masked++;
      state = deadState;
    }
    this.#frames[this.#depth] = this.#frame;
    this.#depth++;
    const isArray = c === OPEN_BRACKET;
    this.#arrays[this.#depth] = isArray;
    this.#frame = isArray ? state.elements : state;
    this.#child = this.#frame;
    return isArray ? FIRST_ELEMENT : FIRST_NAME;
  }

  #close(c: number, at: number): void {
    if (this.#depth === 0) throw this.#fault('goes on after its end', at);
    if (c !== (this.#arrays[this.#depth] ? CLOSE_BRACKET : CLOSE_BRACE))
      throw this.#fault('lacks a comma or a closing bracket', at);
    this.#depth--;
    this.#frame = this.#frames[this.#depth] ?? deadState;
    if (this.#depth !== this.#swallowed) return;
    this.#swallowed = -1;
    this.#copied = at + 1;
  }

  /** A name from its quote on; -1 when the chunk ends first. */
  #name(b: Buffer, at: number, end: number): number {
    this.#tokenAt = at;
    let i = at + 1;
    if (this.#frame.isDead) {
      while (i < end && STRING_PLAIN[b[i] ?? 0] === 1) i++;
      this.#child = this.#frame;
      if (i < end && b[i] === QUOTE) return i + 1;
    } else {
      while (i < end && NAME_PLAIN[b[i] ?? 0] === 1) i++;
      if (i < end && b[i] === QUOTE) {
        if (i - at > this.#limits.nameBytes) this.#checkToken(i + 1 - at);
        this.#child = this.#frame.ofAscii(b, at + 1, i);
        return i + 1;
      }
    }
    this.#string.open();
    i = this.#stringRest(b, i, end);
    if (i >= 0) this.#endName(b, i);
    return i;
  }

  /** Looks at a name that has escapes, is not ASCII, or lies in more than one chunk. */
  #endName(b: Buffer, end: number): void {
    if (this.#frame.isDead) return;
    let [buffer, start, to] = [b, this.#tokenAt, end];
    if (this.#carry.length > 0) {
      this.#carry.add(b, 0, end);
      [buffer, start, to] = [this.#carry.buffer, 0, this.#carry.length];
    }
    this.#checkToken(to - start);
    let isPlain = true;
    for (let i = start + 1; i < to - 1 && isPlain; i++) isPlain = NAME_PLAIN[buffer[i] ?? 0] === 1;
    if (isPlain) this.#child = this.#frame.ofAscii(buffer, start + 1, to - 1);
    else {
      // Bringing combining characters into order takes the square of their number.
      if (to - start > FOLDED_NAME_BYTES_MAX)
        throw new JsonError('ERR_JSON_LIMIT', `a name that is not plain ASCII is over ${FOLDED_NAME_BYTES_MAX} bytes`);
      const name: string = JSON.parse(buffer.toString('utf8', start, to));
      if (!name.isWellFormed())
        throw new JsonError(
          'ERR_JSON_NAME',
          `a name before byte ${this.#consumed + end} holds half of a surrogate pair`,
        );
      this.#child = this.#frame.ofName(name);
    }
    this.#carry.clear();
  }

  #scalar(b: Buffer, at: number, end: number): number {
    const c = b[at] ?? 0;
    this.#mask = this.#child.mask;
    this.#tokenAt = at;
    if (this.#mask !== undefined) this.#emit(b, at);
    let i: number;
    if (c === QUOTE) {
      this.#phase = IN_STRING;
      this.#string.open();
      i = this.#stringRest(b, at + 1, end);
    } else if (c === MINUS || (c >= DIGIT_0 && c <= DIGIT_9)) {
      this.#phase = IN_NUMBER;
      this.#number.open();
      i = this.#numberRest(b, at, end);
    } else {
      const literal = c === LETTER_T ? TRUE : c === LETTER_F ? FALSE : c === LETTER_N ? NULL : undefined;
      if (c === BOM_LEAD && this.#consumed + at === 0)
        throw new JsonError('ERR_JSON_UTF8', 'a byte order mark stands before the JSON');
      if (literal === undefined) throw this.#fault('lacks a value', at);
      this.#phase = IN_LITERAL;
      this.#literal = literal;
      this.#literalAt = 0;
      i = this.#literalRest(b, at, end);
    }
    if (i >= 0 && this.#mask !== undefined) this.#endScalar(b, i);
    return i;
  }

  #stringRest(b: Buffer, from: number, end: number): number {
    const i = this.#string.scan(b, from, end);
    if (this.#string.isBroken) throw this.#fault('holds a string that is none', i);
    return i;
  }

  #numberRest(b: Buffer, from: number, end: number): number {
    const i = this.#number.scan(b, from, end);
    if (i >= 0 && !this.#number.isWhole) throw this.#fault('holds a number that is none', i);
    return i;
  }

  #literalRest(b: Buffer, from: number, end: number): number {
    const literal = this.#literal;
    let i = from;
    for (; this.#literalAt < literal.length; i++) {
      if (i >= end) return -1;
      if (b[i] !== literal[this.#literalAt++]) throw this.#fault('holds a word that is no value', i);
    }
    return i;
  }

  /** A scalar is whole, up to `end`: writes what is shown of it when it is masked. */
  #endScalar(b: Buffer, end: number): void {
    const mask = this.#mask;
    if (mask === undefined) return;
    this.#mask = undefined;
    let [buffer, start, to] = [b, this.#tokenAt, end];
    if (this.#carry.length > 0) {
      this.#carry.add(b, 0, end);
      [buffer, start, to] = [this.#carry.buffer, 0, this.#carry.length];
    }
    if (to - start > this.#limits.scalarBytes)
      throw new JsonError('ERR_JSON_LIMIT', `a value under a mask is over ${this.#limits.scalarBytes} bytes`);
    this.#copied = end;
    if (buffer[start] !== LETTER_N) this.masked++;
    const span = { buffer, start, end: to };
    writeMasked(this.#out, mask, span, this.#string.hasEscapes);
    this.#carry.clear();
  }

  /** Writes the chunk up to `to`, but for what is written or dropped already. */
  #emit(b: Buffer, to: number): void {
    if (this.#out.length === 0) this.#out.reserve(b.length + OUT_BYTES_MORE);
    this.#out.add(b, this.#copied, to);
    this.#copied = to;
  }

  #checkToken(bytes: number): void {
    const isName = this.#mask === undefined;
    const max = isName ? this.#limits.nameBytes : this.#limits.scalarBytes;
    if (bytes - (isName ? 2 : 0) > max)
      throw new JsonError('ERR_JSON_LIMIT', `${isName ? 'a name' : 'a value under a mask'} is over ${max} bytes`);
  }

  #fault(what: string, at: number): JsonError {
    return new JsonError('ERR_JSON_SYNTAX', `the JSON ${what}, at byte ${this.#consumed + at}`);
  }
}

const VALUE = 0;
const FIRST_ELEMENT = 1;
const NAME = 2;
const FIRST_NAME = 3;
const COLON = 4;
const AFTER = 5;
/** From here on: in the middle of a token, which lasts only from chunk to chunk. */
const IN_STRING = 6;
const IN_NAME = 7;
const IN_NUMBER = 8;
const IN_LITERAL = 9;

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
const COLON_SIGN = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const LETTER_F = 0x66;
const LETTER_N = 0x6e;
const LETTER_T = 0x74;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
/** First byte of a byte order mark. */
const BOM_LEAD = 0xef;
const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');
const NULL = Buffer.from('null');
const NOTHING: Buffer = Buffer.alloc(0);

/** 1 = stands in a string as it is. */
const STRING_PLAIN = Uint8Array.from({ length: 256 }, (_, c) => Number(c >= SPACE && c !== QUOTE && c !== BACKSLASH));
/** 1 = stands in a string as it is, and is ASCII. */
const NAME_PLAIN = STRING_PLAIN.map((plain, c) => (c < 0x80 ? plain : 0));
const FOLDED_NAME_BYTES_MAX = 1_024;
const OUT_BYTES_MORE = 1_024;
