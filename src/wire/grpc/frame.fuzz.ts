import {
  createDeframer,
  createMessageEnds,
  decodeBase64,
  decodeStatusDetails,
  decodeStatusMessage,
  encodeFrame,
  GrpcWireError,
  parseMetadata,
  parseTimeoutMs,
} from './index.ts';

/** Whatever comes off a connection: framed bytes in pieces of any size, and header texts. */
export function fuzz(input: Uint8Array): void {
  const pieceBytes = 1 + (input[0] ?? 0);
  const body = input.subarray(1);
  orRefused(() => {
    const deframer = createDeframer(MESSAGE_BYTES_MAX);
    const messages: Uint8Array[] = [];
    for (let start = 0; start < body.length; start += pieceBytes) {
      messages.push(...deframer.push(body.subarray(start, start + pieceBytes)));
      if (deframer.pendingBytes > MESSAGE_BYTES_MAX + 5) throw new Error('more is held than one message may have');
    }
    const taken = Buffer.concat(messages.map(encodeFrame));
    if (!taken.equals(body.subarray(0, taken.length))) throw new Error('the messages are not what was sent');
    deframer.end();
    if (taken.length !== body.length) throw new Error('something was lost');
  });
  followEnds(Buffer.from(body), pieceBytes);
  const text = Buffer.from(body).toString('latin1');
  decodeStatusMessage(text);
  decodeBase64(text);
  orRefused(() => parseTimeoutMs(text));
  orRefused(() => parseMetadata(text.split('\n')));
  orRefused(() => decodeStatusDetails(7, Buffer.from(body).toString('base64')));
}

/** Where messages end is the same wherever the body is cut. */
function followEnds(body: Buffer, pieceBytes: number): void {
  const [pieces, bytes] = [createMessageEnds(), createMessageEnds()];
  for (let at = 0; at < body.length; at += pieceBytes) {
    const piece = body.subarray(at, at + pieceBytes);
    const isEnd = pieces.push(piece);
    let isBytesEnd = false;
    for (const byte of piece) isBytesEnd = bytes.push(Buffer.from([byte]));
    if (isEnd !== isBytesEnd) throw new Error('where a message ends depends on how it is cut');
  }
}

/** Inputs to start from. */
export const seeds: readonly Uint8Array[] = [
  Buffer.concat([Buffer.from([3]), encodeFrame(Buffer.from('hello')), encodeFrame(Buffer.alloc(0))]),
  Buffer.concat([Buffer.from([0]), encodeFrame(Buffer.alloc(300, 7))]),
  Buffer.from([9, 1, 0, 0, 0, 0]),
  Buffer.from([9, 0, 255, 255, 255, 255]),
  Buffer.from('\u000110S'),
  Buffer.from('\u0001name\nvalue\ndata-bin\nAAA'),
  Buffer.from([1, 8, 7, 18, 1, 97, 26, 4, 10, 2, 47, 98]),
];

function orRefused(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof GrpcWireError)) throw error;
  }
}

const MESSAGE_BYTES_MAX = 1024;

export const tokens = [
  '-bin\n',
  '\n',
  '%41',
  '%',
  '99999999H',
  '1n',
  'type.googleapis.com/',
  Buffer.from([0, 0, 0, 0, 1]),
  Buffer.from([1, 0, 0, 0, 0]),
  Buffer.from([0, 0, 0, 4, 0]),
];
