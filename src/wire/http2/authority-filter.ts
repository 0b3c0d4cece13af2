import { createHeaderBlock } from './header-block.ts';

/** Follows what one client sends. */
export interface AuthorityFilter {
  /** Takes the next bytes of the connection, in pieces of any size, and changes them where they lie. */
  pass(chunk: Buffer): void;
  /** True once any byte was changed. */
  readonly changed: boolean;
}

/**
 * Makes `:authority` values acceptable that hold a path: each `/` in one becomes `-`. gRPC for Java names a unix socket by its path there,
 * and node:http2 refuses such a stream before anyone is asked. The length stays, so what client and server remember of earlier headers
 * (HPACK) stays the same too. Values in Huffman's code are left alone: no client is known that writes a path so.
 */
export function createAuthorityFilter(): AuthorityFilter {
  const block = createHeaderBlock();
  const head = Buffer.alloc(FRAME_HEAD_BYTES);
  let headBytes = 0;
  let prefaceLeft = PREFACE_BYTES;
  // Of the frame under way: bytes before the header block, of the block (0 in other frames), and after it.
  let before = 0;
  let within = 0;
  let after = 0;
  let padded = false;
  let endsBlock = false;

  const beginFrame = () => {
    const length = head.readUIntBE(0, 3);
    const type = head.readUInt8(3);
    const flags = head.readUInt8(4);
    const headers = type === HEADERS;
    padded = headers && (flags & PADDED) !== 0;
    before = headers && (flags & PRIORITY) !== 0 ? PRIORITY_BYTES : 0;
    within = headers || type === CONTINUATION ? Math.max(0, length - before - (padded ? 1 : 0)) : 0;
    after = length - before - within - (padded ? 1 : 0);
    endsBlock = (flags & END_HEADERS) !== 0;
    // Its length is a lie that node:http2 answers: the connection ends there.
    if (after < 0) [before, within, after, padded] = [0, 0, length, false];
    if (headers) block.begin();
  };

  return {
    pass(chunk) {
      let at = Math.min(prefaceLeft, chunk.length);
      prefaceLeft -= at;
      while (at < chunk.length) {
        if (padded) {
          const padding = Math.min(chunk.readUInt8(at), within);
          within -= padding;
          after += padding;
          padded = false;
          at++;
        } else if (before > 0) {
          const bytes = Math.min(before, chunk.length - at);
          before -= bytes;
          at += bytes;
        } else if (within > 0) {
          const bytes = Math.min(within, chunk.length - at);
          block.pass(chunk.subarray(at, at + bytes));
          within -= bytes;
          at += bytes;
        } else if (after > 0) {
          const bytes = Math.min(after, chunk.length - at);
          after -= bytes;
          at += bytes;
        } else {
          if (headBytes === 0 && endsBlock) block.begin();
          head.writeUInt8(chunk.readUInt8(at), headBytes);
          headBytes = (headBytes + 1) % FRAME_HEAD_BYTES;
          at++;
          if (headBytes === 0) beginFrame();
        }
      }
    },
    get changed() {
      return block.changed;
    },
  };
}

/** What every client says first: RFC 9113 §3.4. */
const PREFACE_BYTES = 24;
const FRAME_HEAD_BYTES = 9;
const PRIORITY_BYTES = 5;
const HEADERS = 1;
const CONTINUATION = 9;
const END_HEADERS = 0x4;
const PADDED = 0x8;
const PRIORITY = 0x20;
