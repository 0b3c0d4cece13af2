import { inspect } from 'node:util';

/** A value that must not be seen: prints, serialises and inspects as `[redacted]`. `reveal` is the one way to its bytes. */
export class Secret {
  readonly #bytes: Buffer;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes);
  }

  static fromText(text: string): Secret {
    return new Secret(Buffer.from(text, 'utf8'));
  }

  /** The secret's bytes; the caller must not keep, log or copy them further than it needs. */
  reveal(): Buffer {
    return this.#bytes;
  }

  /** The secret as UTF-8 text. */
  revealText(): string {
    return this.#bytes.toString('utf8');
  }

  toString(): string {
    return '[redacted]';
  }

  toJSON(): string {
    return '[redacted]';
  }

  [inspect.custom](): string {
    return '[redacted]';
  }
}
