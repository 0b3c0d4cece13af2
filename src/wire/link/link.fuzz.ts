import { isDeepStrictEqual } from 'node:util';
import { encodeLinkAnswer, encodeLinkPreface, type LinkVersion, parseLinkAnswer, parseLinkPreface } from './index.ts';

/** Either side takes the other's bytes: the same wherever they are cut, nothing beyond their end, no line that is two, and what was read can be said again. */
export function fuzz(input: Uint8Array): void {
  const bytes = Buffer.from(input);
  for (const version of [1, 2] as const) fuzzPreface(bytes, version);
  const whole = parseLinkAnswer(bytes);
  if (whole === 'more') return;
  checkCuts(bytes, whole.bytes, parseLinkAnswer);
  if (whole.answer.status !== 'yes') checkLine(whole.answer.what);
  const again = parseLinkAnswer(encodeLinkAnswer(whole.answer));
  if (again === 'more' || !isDeepStrictEqual(again.answer, whole.answer))
    throw new Error('another answer when said again');
}

function fuzzPreface(bytes: Buffer, version: LinkVersion): void {
  const whole = parseLinkPreface(bytes, version);
  if (whole === 'more' || whole === 'wrong') return;
  checkCuts(bytes, whole.bytes, (cut) => parseLinkPreface(cut, version));
  const { preface } = whole;
  if (preface.target === '') throw new Error('a preface for no target');
  if (preface.caller !== undefined) {
    const { entryId, nodeId, process, selectors } = preface.caller;
    for (const text of [entryId, nodeId, process.executable ?? '', ...selectors]) checkLine(text);
    if (selectors.length > 32) throw new Error('more selectors than may be');
  }
  // A name that is no UTF-8 is longer when it is said again.
  if (version === 1 || Buffer.byteLength(preface.target) > 255) return;
  const again = parseLinkPreface(encodeLinkPreface(preface, version), version);
  if (typeof again === 'string' || !isDeepStrictEqual(again.preface, preface))
    throw new Error('another preface when said again');
}

function checkCuts(bytes: Buffer, end: number, parse: (cut: Buffer) => unknown): void {
  if (end > bytes.length) throw new Error('it reads past its end');
  for (let cut = 0; cut < end; cut += cut < CUTS_CLOSE ? 1 : CUTS_APART)
    if (parse(bytes.subarray(0, cut)) !== 'more') throw new Error('half of it was taken for the whole, or for nothing');
}

function checkLine(text: string): void {
  if (/[\p{Cc}\u2028\u2029\p{Bidi_Control}]/u.test(text)) throw new Error('a control character got through');
  if (Buffer.byteLength(text) > 2_048) throw new Error('a text is longer than any may be');
}

const CALLER = {
  ...{ entryId: 'e1', nodeId: 'spiffe://example.org/countersign/agent/n1' },
  process: { pid: 7, uid: 1000, gid: 100, executable: '/usr/bin/psql' },
  ...{ selectors: ['unix:uid:1000', 'unix:user:web'], selectorsLeftOut: 3 },
};

export const seeds: readonly Uint8Array[] = [
  encodeLinkPreface({ kind: 'session', target: 'one', caller: undefined }, 1),
  encodeLinkPreface({ kind: 'aside', target: 'one', caller: undefined }, 1),
  encodeLinkPreface({ kind: 'session', target: 'one', caller: CALLER }, 2),
  encodeLinkPreface({ kind: 'aside', target: 'one', caller: undefined }, 2),
  Buffer.from('CSL1\0\u0003onerest'),
  Buffer.from('CSL1\0\0'),
  Buffer.from('GET / HTTP/1.1'),
  encodeLinkAnswer({ status: 'yes' }),
  encodeLinkAnswer({ status: 'no', what: 'not you' }),
  encodeLinkAnswer({ status: 'not-now', what: 'nobody' }),
  Buffer.from([1, 0xff, 0xff, 0]),
];

export const tokens = ['CSL1', 'CSA1', 'CSL2', 'CSA2', '\u0001\0\u0003one', '\u0008\0\u0004a:bc', '\0'];

const CUTS_CLOSE = 64;
const CUTS_APART = 17;
