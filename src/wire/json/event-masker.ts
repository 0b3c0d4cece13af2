import { ByteBox } from './byte-box.ts';
import { JsonError } from './errors.ts';
import type { InnerMasker } from './masker.ts';
import type { JsonScanner } from './scanner.ts';

/**
 * Writes a stream of events again, as every reader reads alike: each line ends in LF, the data of an event, one JSON value, is one `data:` line
 * behind its other fields, fields that the standard does not know are left out. An event is shown when its blank line has come, or never.
 * Comments and the fields event and id are shown as they are, up to {@link FIELD_BYTES_MAX} bytes: rules do not reach them.
 * @see WHATWG HTML §9.2.6
 */
export class EventMasker implements InnerMasker {
  masked = 0;
  /** Events that have data. */
  items = 0;
  readonly #createScanner: () => JsonScanner;
  readonly #bytesMax: number;
  readonly #out = new ByteBox();
  /** A line that has not ended yet. */
  readonly #line = new ByteBox();
  /** The data of the event so far, its lines joined by LF. */
  readonly #data = new ByteBox();
  #dataLines = 0;
  #isFirstLine = true;
  /** An LF that comes next belongs to the CR before it. */
  #isAfterCr = false;

  constructor(createScanner: () => JsonScanner, bytesMax: number) {
    this.#createScanner = createScanner;
    this.#bytesMax = bytesMax;
  }

  get heldBytes(): number {
    return this.#line.length + this.#data.length;
  }

  push(chunk: Buffer): Buffer | undefined {
    let from = 0;
    for (let i = 0; i < chunk.length; i++) {
      const c = chunk[i];
      if (c !== LF && c !== CR) continue;
      const isSecond = c === LF && (i === 0 ? this.#isAfterCr : i === from && chunk[i - 1] === CR);
      if (!isSecond) this.#endLine(chunk, from, i);
      from = i + 1;
    }
    if (chunk.length > 0) this.#isAfterCr = chunk.at(-1) === CR;
    this.#line.add(chunk, from, chunk.length);
    this.#checkHeld();
    return this.#take();
  }

  /** What is unfinished is not shown: readers drop it as well. */
  end(): undefined {
    this.#line.clear();
    this.#data.clear();
  }

  #take(): Buffer | undefined {
    return this.#out.length === 0 ? undefined : this.#out.take();
  }

  #endLine(chunk: Buffer, from: number, to: number): void {
    if (this.#line.length === 0) this.#takeLine(chunk, from, to);
    else {
      this.#line.add(chunk, from, to);
      this.#takeLine(this.#line.buffer, 0, this.#line.length);
      this.#line.clear();
    }
    this.#isFirstLine = false;
    this.#checkHeld();
  }

  #takeLine(b: Buffer, from: number, to: number): void {
    if (from === to) {
      this.#endEvent();
      return;
    }
    if (this.#isFirstLine && b.subarray(from, from + BOM.length).equals(BOM))
      throw new JsonError('ERR_JSON_UTF8', 'a byte order mark stands before the events');
    const colon = b.subarray(from, to).indexOf(COLON);
    const nameEnd = colon === -1 ? to : from + colon;
    const name = b.toString('latin1', from, Math.min(nameEnd, from + NAME_CHARS));
    if (name === 'data') this.#addData(b, nameEnd, to);
    else if (name === '' || name === 'event' || name === 'id' || name === 'retry') this.#passField(b, from, to);
  }

  #addData(b: Buffer, nameEnd: number, to: number): void {
    const at = nameEnd + 1 < to && b[nameEnd + 1] === SPACE ? nameEnd + 2 : Math.min(nameEnd + 1, to);
    if (this.#dataLines++ > 0) this.#data.add(LINE_END, 0, 1);
    this.#data.add(b, at, to);
  }

  #passField(b: Buffer, from: number, to: number): void {
    if (to - from > FIELD_BYTES_MAX)
      throw new JsonError('ERR_JSON_LIMIT', `a comment or field other than data is over ${FIELD_BYTES_MAX} bytes`);
    for (let i = from; i < to; i++) {
      const c = b[i] ?? 0;
      if ((c < SPACE && c !== TAB) || c === DELETE)
        throw new JsonError('ERR_JSON_SYNTAX', 'a comment or field of an event holds a control character');
    }
    this.#out.add(b, from, to);
    this.#out.add(LINE_END, 0, 1);
  }

  #endEvent(): void {
    if (this.#dataLines > 0) {
      const data = this.#data.take();
      this.#dataLines = 0;
      this.#out.add(DATA, 0, DATA.length);
      this.#showData(data);
      this.#out.add(LINE_END, 0, 1);
    }
    this.#out.add(LINE_END, 0, 1);
  }

  #showData(data: Buffer): void {
    // What servers send to keep a stream open, and the mark by which many end it, hold nothing.
    const isConstant = data.equals(DONE) || data.every((byte) => byte === SPACE || byte === LF);
    if (!isConstant) this.items++;
    const scanner = this.#createScanner();
    for (const piece of isConstant ? [data] : [scanner.push(data), scanner.end()]) {
      if (piece === undefined) continue;
      // In JSON, line ends stand only where a blank is as good; readers that take each line for an event then see one.
      for (let at = piece.indexOf(LF); at !== -1; at = piece.indexOf(LF, at + 1)) piece[at] = SPACE;
      this.#out.add(piece, 0, piece.length);
    }
    this.masked += scanner.masked;
  }

  #checkHeld(): void {
    if (this.heldBytes > this.#bytesMax)
      throw new JsonError('ERR_JSON_LIMIT', `an event is over ${this.#bytesMax} bytes`);
  }
}

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const COLON = 0x3a;
const DELETE = 0x7f;
const BOM = Buffer.from('\ufeff');
const LINE_END = Buffer.from('\n');
const DATA = Buffer.from('data: ');
const DONE = Buffer.from('[DONE]');
/** One more than the longest name that is known. */
const NAME_CHARS = 6;
/** Some servers send two thousand blanks as a comment, to have proxies let go of what they hold. */
const FIELD_BYTES_MAX = 4 * 1024;
