import { JsonError } from './errors.ts';
import { EventMasker } from './event-masker.ts';
import { createPathStates, type FieldRule } from './path-states.ts';
import { type JsonLimits, JsonScanner } from './scanner.ts';
import { Utf8Check } from './utf8-check.ts';

/** `json`: one value. `ndjson`: one value a line at most. `sse`: an event stream whose events' data are JSON. */
export type JsonFormat = 'json' | 'ndjson' | 'sse';

/** Writes a stream of JSON again, with rules applied. After an error it answers with that error only. */
export interface JsonMasker {
  /** The next bytes as they are shown: at most one piece, maybe the chunk itself. @throws JsonError */
  push(chunk: Buffer): readonly Buffer[];
  /** No more bytes come. @throws JsonError ERR_JSON_SYNTAX when a value is unfinished */
  end(): readonly Buffer[];
  /** Bytes kept until more come: a name or masked scalar, or an event. */
  readonly heldBytes: number;
  /** Values masked so far; a masked object or array is one. */
  readonly masked: number;
  /** Elements of outermost arrays so far, outermost values that are no array, or events with data. */
  readonly items: number;
}

/**
 * Creates the masker of one body. Of rules that reach one value the first one's mask is taken: give the strictest first.
 * Each byte pushed is looked at a bounded number of times; held are at most `limits` bytes.
 */
export function createJsonMasker({
  rules,
  format,
  limits,
}: {
  readonly rules: readonly FieldRule[];
  readonly format: JsonFormat;
  readonly limits?: Partial<JsonLimits>;
}): JsonMasker {
  const root = createPathStates(rules);
  const all = { ...jsonLimits, ...limits };
  const inner =
    format === 'sse'
      ? new EventMasker(() => new JsonScanner(root, { isLines: false, limits: all }), all.eventBytes)
      : new JsonScanner(root, { isLines: format === 'ndjson', limits: all });
  return new CheckedMasker(inner);
}

/** What a format's masker is, behind the check of UTF-8. */
export interface InnerMasker {
  readonly heldBytes: number;
  readonly masked: number;
  readonly items: number;
  push(chunk: Buffer): Buffer | undefined;
  end(): Buffer | undefined;
}

class CheckedMasker implements JsonMasker {
  readonly #inner: InnerMasker;
  readonly #utf8 = new Utf8Check();
  #consumed = 0;
  #failure: unknown;

  constructor(inner: InnerMasker) {
    this.#inner = inner;
  }

  get heldBytes(): number {
    return this.#inner.heldBytes;
  }

  get masked(): number {
    return this.#inner.masked;
  }

  get items(): number {
    return this.#inner.items;
  }

  push(chunk: Buffer): readonly Buffer[] {
    return this.#guarded(() => {
      const fault = this.#utf8.push(chunk);
      // What is wrong before that place comes first, as it would have with other cuts.
      const piece = this.#inner.push(fault === -1 ? chunk : chunk.subarray(0, fault));
      if (fault !== -1) throw new JsonError('ERR_JSON_UTF8', `no UTF-8 at byte ${this.#consumed + fault}`);
      this.#consumed += chunk.length;
      return piece;
    });
  }

  end(): readonly Buffer[] {
    return this.#guarded(() => {
      if (!this.#utf8.isWhole) throw new JsonError('ERR_JSON_UTF8', 'the bytes end within a character');
      return this.#inner.end();
    });
  }

  #guarded(step: () => Buffer | undefined): readonly Buffer[] {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      const piece = step();
      return piece === undefined ? [] : [piece];
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }
}

/** What is held at most, and how deep JSON may nest. */
export const jsonLimits: JsonLimits = {
  depth: 64,
  nameBytes: 64 * 1024,
  scalarBytes: 1024 * 1024,
  eventBytes: 1024 * 1024,
};
