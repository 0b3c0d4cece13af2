import { local } from './local.ts';

const REFUSAL = { kind: 'busy' } as const;

/** What clients of the agent's socket say, and what either side of a session does: nothing throws, reads past the end, or forgets the protocol's framing. */
export function fuzz(input: Uint8Array): void {
  const bytes = Buffer.from(input);
  const opening = local.opening(bytes);
  if ('bytes' in opening && (opening.bytes === 0 || opening.bytes > bytes.length))
    throw new Error('a request is not what was read of it');
  const said = local.refusal(
    { ...REFUSAL, message: bytes.toString('utf8'), hint: bytes.toString('latin1') },
    'opening',
  );
  if (said.readUInt32BE(1) !== said.length - 1) throw new Error('the refusal is not framed');
  const [whole, cut] = [local.follow(), local.follow()];
  whole.saw('gateway', bytes);
  for (const byte of bytes) cut.saw('gateway', Buffer.from([byte]));
  if (bytes.length > 0 && whole.place() !== cut.place()) throw new Error('where a session is depends on how it is cut');
}

export const seeds: readonly Uint8Array[] = [
  Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]),
  Buffer.from([0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 0, 0, 0, 0, 0]),
  Buffer.from([0, 0, 0, 9, 0, 3, 0, 0, 0]),
  Buffer.from('Z\0\0\0\x05I', 'latin1'),
  Buffer.from('rowsZ\0\0\0\x05T', 'latin1'),
];

export const tokens = [
  Buffer.from([4, 210, 22, 47]),
  Buffer.from([4, 210, 22, 46]),
  Buffer.from([0, 3, 0, 0]),
  Buffer.from([0, 0, 0, 8]),
  Buffer.from('Z\0\0\0\x05', 'latin1'),
];
