import { parsePreface } from './link-preface.ts';

/** What a peer can say first on the link: never thrown at, and the same wherever it is cut. */
export function fuzz(input: Uint8Array): void {
  const bytes = Buffer.from(input);
  const whole = parsePreface(bytes);
  if (whole === 'more' || whole === undefined) return;
  if (whole.bytes > bytes.length || whole.target === '')
    throw new Error('a preface longer than its bytes, or for no target');
  for (let cut = 0; cut < whole.bytes; cut++) {
    if (parsePreface(bytes.subarray(0, cut)) !== 'more')
      throw new Error('half a preface was taken for a whole one, or for none');
  }
}

export const seeds: readonly Uint8Array[] = [
  Buffer.from('CSL1\0\u0003one'),
  Buffer.from('CSL1\0\u0003onerest'),
  Buffer.from('CSA1\0\u0003one'),
  Buffer.from('CSL1\0\0'),
  Buffer.from('GET / HTTP/1.1'),
];

export const tokens = ['CSL1', 'CSA1', '\0\u0003one', '\0'];
