import { AttestationError } from '../../errors.ts';
import { parseNames } from './names.ts';
import { parseGroups } from './proc-status.ts';

/** The texts that facts about a process are read from; a process chooses its own name in one of them. */
export function fuzz(input: Uint8Array): void {
  const text = Buffer.from(input).toString('latin1');
  try {
    for (const gid of parseGroups(text)) {
      if (!Number.isInteger(gid) || gid < 0 || !text.includes(String(gid)))
        throw new Error('a group that is not there');
    }
  } catch (error) {
    if (!(error instanceof AttestationError)) throw error;
  }
  for (const [number, name] of parseNames(text)) {
    if (name === '' || /[:\n]/.test(name)) throw new Error('a name of two lines or fields');
    if (!Number.isInteger(number) || number < 0) throw new Error('a number that is none');
  }
  // What a process may call itself is escaped by the kernel; what it adds to its own line must not add groups.
  const named = parseGroups(`Name:\t${text.replaceAll('\n', '\\n')}\nGroups:\t4 24 \n`);
  if (named.join() !== '4,24') throw new Error("a process's name changes its groups");
}

export const seeds: readonly Uint8Array[] = [
  Buffer.from('Name:\tx\nUid:\t0\t0\t0\t0\nGroups:\t4 24 27 \n'),
  Buffer.from('root:x:0:0:r:/root:/bin/sh\nweb:x:33:33::/:\n'),
];

export const tokens = ['\nGroups:\t', '\n', ':', '\t', '4294967296', 'root:x:0:', '00', ' '];
