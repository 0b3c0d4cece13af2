import { encodeCancelRequest, encodeSslRequest, encodeStartup, PostgresWireError, readStartupPacket } from './index.ts';

/** A client's first bytes: read whole or not at all, the same however many follow, and what is read is written back as it was. */
export function fuzz(input: Uint8Array): void {
  const bytes = Buffer.from(input);
  const read = attempt(bytes);
  if (read === undefined) return;
  if (read.bytes > bytes.length || read.bytes < 8) throw new Error('a packet longer than its bytes, or empty');
  if (JSON.stringify(attempt(bytes.subarray(0, read.bytes))?.packet) !== JSON.stringify(read.packet))
    throw new Error('what follows a packet changes what is read of it');
  if (attempt(bytes.subarray(0, read.bytes - 1)) !== undefined)
    throw new Error('half a packet was taken for a whole one');
  const { packet } = read;
  const again =
    packet.kind === 'startup'
      ? encodeStartup(packet.minor, packet.parameters)
      : packet.kind === 'cancel'
        ? encodeCancelRequest(packet.processId, packet.key)
        : undefined;
  if (again !== undefined && !again.equals(bytes.subarray(0, read.bytes)))
    throw new Error('a packet has two spellings');
}

function attempt(bytes: Buffer): ReturnType<typeof readStartupPacket> {
  try {
    return readStartupPacket(bytes);
  } catch (error) {
    if (!(error instanceof PostgresWireError)) throw error;
    return undefined;
  }
}

export const seeds: readonly Uint8Array[] = [
  encodeStartup(0, [
    ['user', 'web'],
    ['database', 'shop'],
    ['options', '-c statement_timeout=1s'],
  ]),
  encodeStartup(2, [['_pq_.x', '1']]),
  encodeStartup(0xffff, []),
  encodeSslRequest(),
  encodeCancelRequest(7, Buffer.alloc(4, 1)),
  Buffer.concat([encodeCancelRequest(-1, Buffer.alloc(256, 1)), Buffer.from('more')]),
];

export const tokens = ['user\0', 'replication\0true\0', 'options\0', '\0', '\0\0', '_pq_.', '\u00c3\u0028', '\ufffd'];
