/** Follows a number, whatever the cuts. @see RFC 8259 §6 */
export class NumberShape {
  #state = START;

  /** True when what was read is a number; more may still follow. */
  get isWhole(): boolean {
    return this.#state === ZERO || this.#state === INTEGER || this.#state === FRACTION || this.#state === EXPONENT;
  }

  open(): void {
    this.#state = START;
  }

  /** Where the first byte stands that does not belong to the number; -1 when the bytes end first. */
  scan(bytes: Buffer, from: number, end: number): number {
    let state = this.#state;
    for (let i = from; i < end; i++) {
      const next = STEPS[state * 8 + (KINDS[bytes[i] ?? 0] ?? OTHER)] ?? 0;
      if (next === 0) {
        this.#state = state;
        return i;
      }
      state = next;
    }
    this.#state = state;
    return -1;
  }
}

const START = 1;
const SIGNED = 2;
const ZERO = 3;
const INTEGER = 4;
const POINT = 5;
const FRACTION = 6;
const POWER = 7;
const SIGNED_POWER = 8;
const EXPONENT = 9;

const OTHER = 0;
const KINDS = new Uint8Array(256);
for (const [kind, characters] of ['', '-', '+', '0', '123456789', '.', 'eE'].entries())
  for (const character of characters) KINDS[character.charCodeAt(0)] = kind;

/** By state and kind of byte: the next state; 0 = it does not belong to the number. Kinds: - + 0 1..9 . e */
const STEPS = Uint8Array.from(
  [
    [],
    [0, SIGNED, 0, ZERO, INTEGER, 0, 0, 0], // START
    [0, 0, 0, ZERO, INTEGER, 0, 0, 0], // SIGNED
    [0, 0, 0, 0, 0, POINT, POWER, 0], // ZERO
    [0, 0, 0, INTEGER, INTEGER, POINT, POWER, 0], // INTEGER
    [0, 0, 0, FRACTION, FRACTION, 0, 0, 0], // POINT
    [0, 0, 0, FRACTION, FRACTION, 0, POWER, 0], // FRACTION
    [0, SIGNED_POWER, SIGNED_POWER, EXPONENT, EXPONENT, 0, 0, 0], // POWER
    [0, 0, 0, EXPONENT, EXPONENT, 0, 0, 0], // SIGNED_POWER
    [0, 0, 0, EXPONENT, EXPONENT, 0, 0, 0], // EXPONENT
  ].flatMap((row) => (row.length === 0 ? Array<number>(8).fill(0) : row)),
);
