import { parseNames } from '../../process/user-names.ts';
import { coversAll } from './unmapped.ts';

/** The texts that facts about users are read from. */
export function fuzz(input: Uint8Array): void {
  const text = Buffer.from(input).toString('latin1');
  for (const [number, name] of parseNames(text)) {
    if (name === '' || /[:\n]/.test(name)) throw new Error('a name of two lines or fields');
    if (!Number.isInteger(number) || number < 0) throw new Error('a number that is none');
  }
  if (coversAll(text) && !/\d/.test(text)) throw new Error('a map of nobody covers all');
}

export const seeds: readonly Uint8Array[] = [
  Buffer.from('root:x:0:0:r:/root:/bin/sh\nweb:x:33:33::/:\n'),
  Buffer.from('         0          0 4294967295\n'),
];

export const tokens = ['\n', ':', '4294967296', '4294967295', 'root:x:0:', '00', ' '];
