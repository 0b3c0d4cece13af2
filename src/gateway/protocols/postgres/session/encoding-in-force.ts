import { isAscii } from 'node:buffer';
import { assert } from '../../../../std/index.ts';
import type { TransactionStatus } from '../../../../wire/postgres/index.ts';
import { codingBetween, encodingNamed, type SessionEffect, type TextCoding, undecodedBytes } from '../sql/index.ts';

/**
 * In which encoding the server reads this client's texts. Its reports are the truth, but newer servers report a change only when they are ready
 * for the next request: between a statement that may have changed it and that report, nobody here knows. Texts of ASCII alone mean the same in
 * all encodings and need no such knowledge.
 */
export class EncodingInForce {
  readonly #server: string;
  #client: string;
  #coding: TextCoding;
  /** A statement of the open transaction changed it, so its end may change it back. */
  #isTouched = false;
  /** It may have changed since the last report. */
  #isUnsettled = false;

  constructor({ client, server }: { readonly client: string; readonly server: string }) {
    const coding = codingBetween(client, server);
    assert(coding !== undefined, 'sessions begin with a pair that is served');
    this.#server = server;
    this.#client = client;
    this.#coding = coding;
  }

  /** That of the last report. */
  get coding(): TextCoding {
    return this.#coding;
  }

  /** True when the end of a transaction or a savepoint may bring back another one. */
  get isTouched(): boolean {
    return this.#isTouched;
  }

  get isUnsettled(): boolean {
    return this.#isUnsettled;
  }

  /** False when texts in it could not be read here; undefined = that of the session's beginning, which could. */
  serves(name: string | undefined): boolean {
    return name === undefined || codingBetween(name, this.#server) !== undefined;
  }

  /** @throws UnreadableText */
  readonly decode = (bytes: Buffer): string => {
    if (this.#isUnsettled) throw new UnreadableText('unsettled');
    const text = this.#coding.decode(bytes);
    if (text === undefined) throw new UnreadableText(this.#problemOf(bytes));
    return text;
  };

  /** What was bound under the encoding of now; undefined for bytes that nobody here can read. */
  reader(): (bytes: Buffer) => string | undefined {
    const coding = this.#isUnsettled ? undefined : this.#coding;
    return (bytes) => (isAscii(bytes) ? bytes.toString('latin1') : coding?.decode(bytes));
  }

  completed(effects: readonly SessionEffect[]): void {
    for (const { kind } of effects) {
      if (kind === 'encoding' || kind === 'discard') this.#isTouched = true;
      else if (kind !== 'transaction') continue;
      this.#isUnsettled ||= this.#isTouched;
    }
  }

  failed(): void {
    this.#isUnsettled ||= this.#isTouched;
  }

  /** The server says so. False: texts in it can't be read here. */
  reported(name: string): boolean {
    const coding = codingBetween(encodingNamed(name) ?? '', this.#server);
    if (coding === undefined) return false;
    this.#client = name;
    this.#coding = coding;
    return true;
  }

  /** By now every change was reported. */
  ready(status: TransactionStatus): void {
    this.#isUnsettled = false;
    if (status === 'I') this.#isTouched = false;
  }

  #problemOf(bytes: Buffer): UnreadableProblem {
    const shown = undecodedBytes(bytes, this.#coding);
    if (this.#coding.isUtf8)
      return { sqlstate: '22021', message: `invalid byte sequence for encoding "UTF8": ${shown}` };
    const what = `character with byte sequence ${shown} in encoding "${this.#client}"`;
    return { sqlstate: '22P05', message: `${what} has no equivalent in encoding "UTF8"` };
  }
}

export interface UnreadableProblem {
  readonly sqlstate: string;
  readonly message: string;
}

/** A text that can't be read, or not yet. It unwinds the reading of a message and never leaves this direction. */
export class UnreadableText extends Error {
  readonly problem: UnreadableProblem | 'unsettled';

  constructor(problem: UnreadableProblem | 'unsettled') {
    super(problem === 'unsettled' ? 'the encoding is not settled' : problem.message);
    this.name = 'UnreadableText';
    this.problem = problem;
  }
}
