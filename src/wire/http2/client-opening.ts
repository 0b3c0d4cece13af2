import { PREFACE } from './preface.ts';

/**
 * How far a client has come. `partial`: in the middle of a frame. `between`: it may be waiting for a word of the server. `complete`: its
 * first header block is there, or anything that clients do not begin with, which is for node:http2 to judge. `refused`: too much came
 * without the answer that must be taken out, or what no answer can follow.
 */
export type OpeningState = 'partial' | 'between' | 'complete' | 'refused';

/** What a client sends up to the headers of its first call: they show what kind of client it is. */
export interface ClientOpening {
  /** Takes the next bytes of the connection, in pieces of any size. */
  push(chunk: Buffer): OpeningState;
  /** Says that the server's settings were sent: the client's answer to them is awaited and taken out. To be called once, when `between`. */
  greeted(): void;
  /** All bytes so far but that answer. */
  bytes(): Buffer;
  /** How many bytes are held. */
  readonly heldBytes: number;
  /** True once the first header block is there. */
  readonly called: boolean;
}

/** Creates a {@link ClientOpening}. */
export function createClientOpening(): ClientOpening {
  let held: Buffer = Buffer.alloc(0);
  let heldBytes = 0;
  /** Where the frame begins that is not complete yet. */
  let at = PREFACE.length;
  let answerAwaited = false;
  let called = false;
  let odd = false;
  let oversized = false;

  const hold = (chunk: Buffer) => {
    if (heldBytes + chunk.length > held.length) {
      const grown = Buffer.allocUnsafe(Math.max(heldBytes + chunk.length, held.length * 2));
      held.copy(grown, 0, 0, heldBytes);
      held = grown;
    }
    chunk.copy(held, heldBytes);
    heldBytes += chunk.length;
  };
  /** False when there is no further frame, or none that the opening may have. */
  const readFrame = (): boolean => {
    if (heldBytes < at + FRAME_HEAD_BYTES) return false;
    const payloadAt = at + FRAME_HEAD_BYTES;
    const end = payloadAt + held.readUIntBE(at, 3);
    const type = held.readUInt8(at + 3);
    const flags = held.readUInt8(at + 4);
    oversized = end - payloadAt > FRAME_BYTES_MAX;
    if (oversized || heldBytes < end) return false;
    if (answerAwaited && type === SETTINGS && (flags & ACK) !== 0) {
      held.copyWithin(at, end, heldBytes);
      heldBytes -= end - at;
      answerAwaited = false;
      return true;
    }
    if (type === HEADERS || type === CONTINUATION) called ||= (flags & END_HEADERS) !== 0;
    else if (!called)
      odd ||= !isUsual({ first: at === PREFACE.length, type, flags, payload: held.subarray(payloadAt, end) });
    at = end;
    return true;
  };

  return {
    push(chunk) {
      const before = heldBytes;
      hold(chunk);
      const known = Math.min(heldBytes, PREFACE.length);
      if (before < PREFACE.length) odd = !held.subarray(0, known).equals(PREFACE.subarray(0, known));
      while ((answerAwaited || !(odd || called)) && readFrame());
      if (oversized || heldBytes > OPENING_BYTES_MAX) return answerAwaited ? 'refused' : 'complete';
      if ((odd || called) && !answerAwaited) return 'complete';
      return at === heldBytes && at > PREFACE.length ? 'between' : 'partial';
    },
    greeted() {
      answerAwaited = true;
    },
    bytes: () => held.subarray(0, heldBytes),
    get heldBytes() {
      return heldBytes;
    },
    get called() {
      return called;
    },
  };
}

/** What a client may say before its first call: settings first (RFC 9113 §3.4), then a larger window for the connection. */
function isUsual(frame: { first: boolean; type: number; flags: number; payload: Buffer }): boolean {
  const { first, type, flags, payload } = frame;
  if (first) return type === SETTINGS && (flags & ACK) === 0 && payload.length % SETTING_BYTES === 0;
  if (type !== WINDOW_UPDATE || payload.length !== 4) return false;
  const moreBytes = payload.readUInt32BE(0);
  return moreBytes > 0 && moreBytes <= WINDOW_MORE_BYTES_MAX;
}

const FRAME_HEAD_BYTES = 9;
/** No larger one may come before the server has allowed it, which it never does. */
const FRAME_BYTES_MAX = 16_384;
/** A thousand calls that a client makes in one breath have less. */
const OPENING_BYTES_MAX = 256 * 1024;
const SETTING_BYTES = 6;
/** With the 65,535 bytes that it begins with, a window has at most 2^31-1. */
const WINDOW_MORE_BYTES_MAX = 2 ** 31 - 1 - 65_535;
const HEADERS = 1;
const SETTINGS = 4;
const WINDOW_UPDATE = 8;
const CONTINUATION = 9;
const ACK = 0x1;
const END_HEADERS = 0x4;
