import { parseParent } from './process-table.ts';
import { encodeQuestion, peerOf } from './socket-diag.ts';
import { findPeers, originKey } from './socket-table.ts';

/** The kernel's tables, of which a process chooses parts: its name, its addresses. */
export function fuzz(input: Uint8Array): void {
  const text = Buffer.from(input).toString('latin1');
  for (const order of ['LE', 'BE'] as const)
    for (const [key, { uid, inode }] of findPeers(text, 0x1f90, order)) {
      if (!/^[0-9A-F]{8}:[0-9A-F]{4}$/.test(key)) throw new Error('a key that is no address');
      if (inode !== undefined && (!/^\d+$/.test(inode) || inode === '0' || uid < 0))
        throw new Error('a socket of nobody');
    }
  originKey({ host: text, port: 1 }, 'LE');
  try {
    const peer = peerOf(Buffer.from(input), QUESTION);
    if (peer?.inode === '0') throw new RangeError('a socket of nobody');
  } catch (error) {
    if (error instanceof RangeError || !(error instanceof Error) || !error.message.startsWith('the kernel'))
      throw error;
  }
  const parent = parseParent(text);
  if (parent !== undefined && !Number.isSafeInteger(parent)) throw new Error('a parent that is no number');
}

const QUESTION = encodeQuestion({ local: { host: '127.0.0.1', port: 1 }, remote: { host: '127.0.0.1', port: 2 } });

export const seeds: readonly Uint8Array[] = [
  Buffer.from('   0: 0100007F:A3B4 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0\n'),
  Buffer.from(
    '  10: 0000000000000000FFFF00000100007F:A3B4 0000000000000000FFFF00000100007F:1F90 01 0:0 0:0 0 0 0 5 1\n',
  ),
  Buffer.from('4711 (a) R (b) S 42 1 1 0'),
  Buffer.from(`580000001400${'00'.repeat(10)}0201000000010002${'00'.repeat(64)}`, 'hex'),
  Buffer.from(`240000000200${'00'.repeat(10)}feffffff`, 'hex'),
];

export const tokens = ['0100007F:1F90 ', '7F000001:1F90 ', '0000000000000000FFFF0000', ' 0 ', '\n', ') S ', '('];
