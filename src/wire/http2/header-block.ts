/** Follows the fields of one header block after another (RFC 7541 §6), a byte at a time, remembering none. */
export interface HeaderBlock {
  /** A new block begins. */
  begin(): void;
  /** Takes the next bytes of the block and changes them where they lie. */
  pass(bytes: Buffer): void;
  /** True once any byte was changed. */
  readonly changed: boolean;
  /** Fields of the block so far. */
  readonly fields: number;
}

/** What the next byte is. `lost`: the block is not what the RFC says; the rest of it is left alone. */
type State = 'field' | 'index' | 'length' | 'length-more' | 'text' | 'lost';

/**
 * Creates a {@link HeaderBlock} that turns `/` into `-` in literal values of `:authority` that are not in Huffman's code; `isReadOnly`: it changes
 * nothing.
 */
export function createHeaderBlock({ isReadOnly = false } = {}): HeaderBlock {
  let state: State = 'field';
  /** Integer under way: RFC 7541 §5.1. */
  let number = 0;
  let shift = 0;
  /** Strings that the field still has: 2 = name and value, 1 = value, 0 = none. */
  let strings = 0;
  let huffman = false;
  let authority = false;
  /** How much of the name equals `:authority`; -1 = it differs. */
  let named = 0;
  let [changed, fields] = [false, 0];

  const nextField = () => {
    state = 'field';
    authority = false;
    named = 0;
  };
  const indexed = () => {
    if (strings === 0) return nextField();
    authority = number === AUTHORITY_INDEX;
    if (number !== 0) strings = 1;
    state = 'length';
  };
  const text = () => {
    state = 'text';
    if (number === 0) textEnded();
  };
  const textEnded = () => {
    if (strings === 2) authority = !huffman && named === AUTHORITY.length;
    if (--strings === 0) nextField();
    else state = 'length';
  };
  const integer = (byte: number, prefixBits: number, then: () => void, more: State) => {
    number = byte & (2 ** prefixBits - 1);
    shift = 0;
    if (number < 2 ** prefixBits - 1) then();
    else state = more;
  };
  const integerMore = (byte: number, then: () => void) => {
    number += (byte & 0x7f) * 2 ** shift;
    shift += 7;
    if (shift > INTEGER_BITS_MAX) state = 'lost';
    else if (byte < 0x80) then();
  };
  const field = (byte: number) => {
    // Indexed; literal that is remembered; change of table size; literals that are not.
    const kind = FIELD_KINDS.find(({ mask, bits }) => (byte & mask) === bits) ?? NOT_REMEMBERED;
    strings = kind.strings;
    if (kind.mask !== TABLE_SIZE_MASK) fields++;
    integer(byte, kind.prefixBits, indexed, 'index');
  };
  const character = (bytes: Buffer, at: number, byte: number) => {
    if (strings === 2) named = named >= 0 && AUTHORITY.charCodeAt(named) === byte ? named + 1 : -1;
    else if (authority && !huffman && byte === SLASH && !isReadOnly) {
      bytes.writeUInt8(DASH, at);
      changed = true;
    }
    number--;
    if (number === 0) textEnded();
  };

  return {
    begin() {
      fields = 0;
      nextField();
    },
    pass(bytes) {
      for (let at = 0; at < bytes.length; at++) {
        const byte = bytes.readUInt8(at);
        if (state === 'field') field(byte);
        else if (state === 'index') integerMore(byte, indexed);
        else if (state === 'length') {
          huffman = byte >= 0x80;
          integer(byte, 7, text, 'length-more');
        } else if (state === 'length-more') integerMore(byte, text);
        else if (state === 'text') character(bytes, at, byte);
        else return;
      }
    },
    get changed() {
      return changed;
    },
    get fields() {
      return fields;
    },
  };
}

const NOT_REMEMBERED = { mask: 0xf0, prefixBits: 4, strings: 2 };
const TABLE_SIZE_MASK = 0xe0;
const FIELD_KINDS = [
  { mask: 0x80, bits: 0x80, prefixBits: 7, strings: 0 },
  { mask: 0xc0, bits: 0x40, prefixBits: 6, strings: 2 },
  { mask: 0xe0, bits: 0x20, prefixBits: 5, strings: 0 },
];
const AUTHORITY = ':authority';
/** In the static table: RFC 7541 Appendix A. */
const AUTHORITY_INDEX = 1;
/** Longer numbers than this are refused by node:http2 anyway. */
const INTEGER_BITS_MAX = 35;
const SLASH = 0x2f;
const DASH = 0x2d;
