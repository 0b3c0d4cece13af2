/** Follows the inside of a string, behind its opening quote, whatever the cuts. @see RFC 8259 §7 */
export class StringShape {
  /** Set when {@link scan} met what no string holds: a control character or an place that is none. */
  isBroken = false;
  hasEscapes = false;
  /** 0 = none, 1 = behind the backslash, 2..5 = before the first to fourth hex digit. */
  #place = 0;

  open(): void {
    this.hasEscapes = false;
    this.#place = 0;
  }

  /** Where the string ends, behind its closing quote; -1 when the bytes end first. When broken, the place of what is wrong. */
  scan(bytes: Buffer, from: number, end: number): number {
    let place = this.#place;
    for (let i = from; i < end; i++) {
      const kind = KINDS[bytes[i] ?? 0] ?? 0;
      if (place === 0) {
        if ((kind & PLAIN) !== 0) continue;
        if (bytes[i] === QUOTE) return i + 1;
        if (bytes[i] !== BACKSLASH) return this.#break(i);
        this.hasEscapes = true;
        place = 1;
      } else if (place === 1) {
        if ((kind & ESCAPED) === 0) return this.#break(i);
        place = bytes[i] === LETTER_U ? 2 : 0;
      } else {
        if ((kind & HEX) === 0) return this.#break(i);
        place = place === 5 ? 0 : place + 1;
      }
    }
    this.#place = place;
    return -1;
  }

  #break(at: number): number {
    this.isBroken = true;
    return at;
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LETTER_U = 0x75;
/** May stand in a string as it is. */
const PLAIN = 1;
/** May follow a backslash. */
const ESCAPED = 2;
const HEX = 4;
const KINDS = Uint8Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  const isPlain = byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH;
  return (
    (isPlain ? PLAIN : 0) | ('"\\/bfnrtu'.includes(character) ? ESCAPED : 0) | (/[0-9a-f]/i.test(character) ? HEX : 0)
  );
});
