import type { Duplex } from 'node:stream';

/**
 * Gives the driver's parser one whole message at a time. On its own it reads beyond a message whose fields are longer than the message
 * says, throws out of the socket's listener, never comes back from an error that has no end, and gathers whatever length was announced.
 * What it can't read destroys the stream with an error.
 */
export function takeWholeMessages(stream: Duplex): MessageSource {
  return {
    on(event, listener) {
      stream.on(event, event === 'data' ? cutIntoMessages(stream, listener) : listener);
    },
  };
}

/** All that the driver asks of a stream that it reads messages from: its data, and its end. */
export interface MessageSource {
  on(event: string, listener: (message: Buffer) => void): void;
}

function cutIntoMessages(stream: Duplex, parse: (message: Buffer) => void): (chunk: Buffer) => void {
  let pieces: Buffer[] = [];
  let heldBytes = 0;
  let neededBytes = HEADER_BYTES;
  return (chunk) => {
    pieces.push(chunk);
    heldBytes += chunk.length;
    try {
      while (heldBytes >= neededBytes && !stream.destroyed) {
        const held = pieces.length === 1 ? (pieces[0] ?? chunk) : Buffer.concat(pieces, heldBytes);
        pieces = [held];
        neededBytes = messageBytes(held);
        if (heldBytes < neededBytes) break;
        parse(checked(held.subarray(0, neededBytes)));
        pieces = [held.subarray(neededBytes)];
        heldBytes -= neededBytes;
        neededBytes = HEADER_BYTES;
      }
    } catch (cause) {
      stream.destroy(new Error('the database sent what is no message', { cause }));
    }
  };
}

/** Length of the message that begins there, its type included. */
function messageBytes(bytes: Buffer): number {
  const length = bytes.readUInt32BE(1);
  if (length < 4 || length > MESSAGE_BYTES_MAX) throw new RangeError(`a message of ${length} bytes`);
  return 1 + length;
}

function checked(message: Buffer): Buffer {
  const type = String.fromCharCode(message[0] ?? 0);
  // The parser takes an unknown one for an error of the statement.
  if (!TYPES.includes(type)) throw new RangeError(`a message of type ${message[0]}`);
  // It looks for the two zeros at the end of an error or notice without looking where the message ends.
  const end = message.subarray(HEADER_BYTES).subarray(-2);
  if ((type === 'E' || type === 'N') && (end.length === 0 || end.some((byte) => byte !== 0)))
    throw new RangeError('an error without an end');
  return message;
}

const HEADER_BYTES = 5;
/** What a database may send. @see PostgreSQL "Message Formats" */
const TYPES = '123ACDEGHIKNRSTWZcdnst';
/** The largest value that PostgreSQL has is 1 GiB; what we keep is far smaller. */
const MESSAGE_BYTES_MAX = 256 * 1024 * 1024;
