import { CR, LF } from './characters.ts';
import { type ExtensionPart, mayEndExtensions, nextExtensionPart } from './chunk-extension.ts';
import { Http1Error } from './errors.ts';
import { parseTrailers } from './field-lines.ts';
import type { Input } from './input.ts';
import type { Http1Limits } from './limits.ts';
import type { BodyEvent, BodyLength } from './message.ts';

/** Reads bodies, one after another: RFC 9112 §6 and §7.1. */
export class BodyReader {
  readonly #input: Input;
  readonly #limits: Http1Limits;
  #state: State = 'ended';
  /** Of the body, or of its chunk, still to come. */
  #bytesLeft = 0;
  #sizeDigits = 0;
  #extension: ExtensionPart = 'name-starts';
  #extensionBytes = 0;

  constructor(input: Input, limits: Http1Limits) {
    this.#input = input;
    this.#limits = limits;
  }

  begin(body: BodyLength): void {
    this.#extensionBytes = 0;
    this.#bytesLeft = body.kind === 'length' ? body.bytes : 0;
    if (body.kind === 'chunked') this.#beginChunk();
    else this.#state = body.kind === 'length' ? 'sized' : body.kind === 'close' ? 'to-close' : 'no-more';
  }

  /** True once `next` has given the end of what was begun. */
  get hasEnded(): boolean {
    return this.#state === 'ended';
  }

  /** True while bytes must come before the body can end. */
  get isWaiting(): boolean {
    return this.#state !== 'ended' && this.#state !== 'no-more' && this.#state !== 'closed';
  }

  /** Says that the connection ended, which a body may wait for. */
  finish(): void {
    if (this.#state === 'to-close') this.#state = 'closed';
  }

  next(): BodyEvent | undefined {
    for (;;) {
      const state = this.#state;
      switch (state) {
        case 'ended':
          return undefined;
        case 'no-more':
          return this.#end(END);
        case 'to-close':
          return this.#data(Number.POSITIVE_INFINITY);
        case 'closed':
          return this.#data(Number.POSITIVE_INFINITY) ?? this.#end(END);
        case 'sized':
        case 'chunk-data': {
          const event = this.#data(this.#bytesLeft);
          if (event !== undefined) this.#bytesLeft -= event.bytes.length;
          if (this.#bytesLeft === 0) this.#state = state === 'sized' ? 'no-more' : 'data-cr';
          return event;
        }
        case 'trailers': {
          const text = this.#input.lines(this.#limits.trailerBytesMax);
          if (text === undefined) return undefined;
          return this.#end(text === '\r\n' ? END : { kind: 'end', trailers: parseTrailers(text, this.#limits) });
        }
        default:
          if (!this.#readSizeLine(state)) return undefined;
      }
    }
  }

  #data(bytesMax: number): { readonly kind: 'data'; readonly bytes: Buffer } | undefined {
    const bytes = this.#input.take(bytesMax);
    return bytes === undefined ? undefined : { kind: 'data', bytes };
  }

  #end(event: BodyEvent): BodyEvent {
    this.#state = 'ended';
    return event;
  }

  #beginChunk(): void {
    this.#state = 'size';
    this.#bytesLeft = 0;
    this.#sizeDigits = 0;
  }

  /** Reads, byte by byte, what stands between the data of two chunks; false when more is to come. */
  #readSizeLine(state: SizeState): boolean {
    const byte = this.#input.byte();
    if (byte === undefined) return false;
    switch (state) {
      case 'data-cr':
        if (byte !== CR) throw badChunk('a chunk is longer than its size');
        this.#state = 'data-lf';
        return true;
      case 'data-lf':
        if (byte !== LF) throw badChunk('a chunk is longer than its size');
        this.#beginChunk();
        return true;
      case 'size':
        this.#readSize(byte);
        return true;
      case 'extension':
        this.#readExtension(byte);
        return true;
      case 'size-lf':
        if (byte !== LF) throw badChunk('a CR stands behind a chunk’s size without LF');
        this.#state = this.#bytesLeft === 0 ? 'trailers' : 'chunk-data';
        return true;
      default:
        return state satisfies never;
    }
  }

  /** Eight digits at most, and no zero before others: readers differ in what they make of more. */
  #readSize(byte: number): void {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      if (this.#sizeDigits === 1 && this.#bytesLeft === 0) throw badChunk('a chunk’s size starts with a zero');
      if (++this.#sizeDigits > SIZE_DIGITS_MAX) throw badChunk('a chunk’s size has more than 8 digits');
      this.#bytesLeft = this.#bytesLeft * 16 + digit;
      return;
    }
    if (this.#sizeDigits === 0) throw badChunk('a chunk has no size');
    if (byte === CR) this.#state = 'size-lf';
    else if (byte === SEMICOLON) {
      this.#state = 'extension';
      this.#extension = 'name-starts';
      this.#countExtension();
    } else throw badChunk('a chunk’s size holds something that is no digit');
  }

  /** RFC 9112 §7.1.1: passed over. Nothing in it may be taken for the end of its line. */
  #readExtension(byte: number): void {
    if (byte === CR && mayEndExtensions(this.#extension)) {
      this.#state = 'size-lf';
      return;
    }
    const part = nextExtensionPart(this.#extension, byte);
    if (part === undefined) throw badChunk('a chunk extension is malformed');
    this.#extension = part;
    this.#countExtension();
  }

  #countExtension(): void {
    if (++this.#extensionBytes > this.#limits.extensionBytesMax)
      throw badChunk(`there are more than ${this.#limits.extensionBytesMax} bytes of chunk extensions`);
  }
}

type SizeState = 'size' | 'extension' | 'size-lf' | 'data-cr' | 'data-lf';
type State = SizeState | 'ended' | 'no-more' | 'sized' | 'to-close' | 'closed' | 'chunk-data' | 'trailers';

function badChunk(message: string): Http1Error {
  return new Http1Error('ERR_HTTP1_CHUNK', message);
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** One object for all that have no trailers. */
const END: BodyEvent = { kind: 'end', trailers: [] };
const SEMICOLON = 0x3b;
const SIZE_DIGITS_MAX = 8;
