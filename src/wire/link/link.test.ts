import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  encodeLinkAnswer,
  encodeLinkPreface,
  type LinkCaller,
  linkAlpn,
  linkVersionOf,
  parseLinkAnswer,
  parseLinkPreface,
} from './index.ts';
import { fuzz, seeds } from './link.fuzz.ts';

const CALLER: LinkCaller = {
  entryId: 'e1',
  nodeId: 'spiffe://example.org/countersign/agent/n1',
  process: { pid: 4_194_304, uid: 4_294_967_294, gid: 0, executable: '/usr/bin/psql' },
  selectors: ['unix:uid:1000', 'unix:user:web'],
  selectorsLeftOut: 0,
};

function reread(caller: LinkCaller): LinkCaller {
  const bytes = encodeLinkPreface({ kind: 'session', target: 'orders', caller }, 2);
  const read = parseLinkPreface(bytes, 2);
  if (typeof read === 'string' || read.preface.caller === undefined) throw new Error(`it is ${String(read)}`);
  expect(read.bytes).toBe(bytes.length);
  return read.preface.caller;
}

/** A preface of version 2 with these fields. */
function fields(...parts: readonly (readonly [tag: number, value: string])[]): Buffer {
  const body = Buffer.concat(
    parts.map(([tag, value]) =>
      Buffer.concat([Buffer.from([tag, value.length >> 8, value.length & 255]), Buffer.from(value, 'latin1')]),
    ),
  );
  return Buffer.concat([Buffer.from('CSL2'), Buffer.from([body.length >> 8, body.length & 255]), body]);
}

it('is spoken in the newest version that both sides know, newest first', () => {
  expect(linkAlpn).toEqual(['countersign-link/2', 'countersign-link/1']);
  expect(linkAlpn.map(linkVersionOf)).toEqual([2, 1]);
  for (const other of ['countersign-link/3', 'h2', '', false, null] as const)
    expect(linkVersionOf(other)).toBeUndefined();
});

describe('the preface', () => {
  it('is, for a gateway of the first version, what it has always been, and says nothing of the caller', () => {
    const said = { target: 'orders', caller: CALLER };
    expect(encodeLinkPreface({ kind: 'session', ...said }, 1).toString('latin1')).toBe('CSL1\0\x06orders');
    expect(encodeLinkPreface({ kind: 'aside', ...said }, 1).toString('latin1')).toBe('CSA1\0\x06orders');
  });

  it('is read, of an agent of the first version, as it always was', () => {
    expect(parseLinkPreface(Buffer.from('CSL1\0\x03onehello'), 1)).toEqual({
      preface: { kind: 'session', target: 'one', caller: undefined },
      bytes: 9,
    });
    expect(parseLinkPreface(Buffer.from('CSA1\0\x03one'), 1)).toMatchObject({ preface: { kind: 'aside' } });
  });

  it('says in the second version who the caller is', () => {
    expect(reread(CALLER)).toEqual(CALLER);
    const unseen = { ...CALLER, process: { ...CALLER.process, executable: undefined }, selectors: [] };
    expect(reread(unseen)).toEqual(unseen);
    const silent = { kind: 'aside', target: 'orders', caller: undefined } as const;
    expect(parseLinkPreface(encodeLinkPreface(silent, 2), 2)).toMatchObject({ preface: silent });
  });

  it('has at most 32 selectors of 256 bytes, and says how many more there are', () => {
    const selectors = Array.from({ length: 40 }, (_, n) => `unix:supplementary_gid:${n}`);
    expect(reread({ ...CALLER, selectors, selectorsLeftOut: 2 })).toMatchObject({
      selectors: selectors.slice(0, 32),
      selectorsLeftOut: 10,
    });
    const [long = ''] = reread({ ...CALLER, selectors: [`unix:path:/${'ä'.repeat(300)}`] }).selectors;
    expect(Buffer.byteLength(long)).toBeLessThanOrEqual(256);
    expect(long).toMatch(/^unix:path:\/ä+…$/);
  });

  it('bounds and cleans what a hostile agent says as well', () => {
    const hostile = fields(
      ...([
        [1, 'one'],
        [2, `${'e'.repeat(300)}`],
        [3, 'n\x1b[2J\nforged'],
        [4, '\0\0\0\x01'],
        [5, '\0\0\0\0'],
        [6, '\0\0\0\0'],
      ] as const),
      ...Array.from({ length: 40 }, () => [8, 'a:\xe2\x80\xaeb'] as const),
    );
    const read = parseLinkPreface(hostile, 2);
    expect(read).toMatchObject({
      preface: { caller: { entryId: `${'e'.repeat(253)}…`, nodeId: 'n [2J forged', selectorsLeftOut: 8 } },
    });
    expect(typeof read === 'string' ? [] : read.preface.caller?.selectors).toEqual(
      Array.from({ length: 32 }, () => 'a: b'),
    );
  });

  it('may have fields that are not known yet', () => {
    expect(parseLinkPreface(fields([1, 'one'], [200, 'of tomorrow'], [200, 'again']), 2)).toMatchObject({
      preface: { target: 'one', caller: undefined },
    });
  });

  it.each([
    ['another version’s', Buffer.from('CSL1\0\x03one')],
    ['no link at all', Buffer.from('G')],
    ['empty', Buffer.from('CSL2\0\0')],
    ['longer than it may be', Buffer.from('CSL2\x40\x01')],
    ['for no target', fields([200, 'x'])],
    ['for a target without a name', fields([1, ''])],
    ['for two targets', fields([1, 'one'], [1, 'two'])],
    ['with half a caller', fields([1, 'one'], [4, '\0\0\0\x01'])],
    [
      'with a number of another length',
      fields([1, 'one'], [2, 'e'], [3, 'n'], [4, '\x01'], [5, '\0\0\0\0'], [6, '\0\0\0\0']),
    ],
    ['cut within a field', Buffer.from('CSL2\0\x05\x01\0\x09on')],
  ])('that is %s is none', (_, bytes) => {
    expect(parseLinkPreface(bytes, 2)).toBe('wrong');
  });
});

describe('the answer', () => {
  it('is waited for whole, however it is split', () => {
    const refusal = Buffer.concat([Buffer.from([1, 0, 4]), Buffer.from('no!\n')]);
    for (let length = 0; length < refusal.length; length++)
      expect(parseLinkAnswer(refusal.subarray(0, length))).toBe('more');
    expect(parseLinkAnswer(refusal)).toEqual({ answer: { status: 'no', what: 'no! ' }, bytes: 7 });
    expect(parseLinkAnswer(Buffer.from([0, 9, 9]))).toEqual({ answer: { status: 'yes' }, bytes: 1 });
    refusal[0] = 2;
    expect(parseLinkAnswer(refusal)).toMatchObject({ answer: { status: 'not-now', what: 'no! ' } });
    refusal[0] = 77;
    expect(parseLinkAnswer(refusal)).toMatchObject({ answer: { status: 'no' } });
  });

  it('has no longer reason than fits a message', () => {
    const long = Buffer.concat([Buffer.from([1, 0xff, 0xff]), Buffer.alloc(65_535, 'a')]);
    expect(parseLinkAnswer(long)).toEqual({ answer: { status: 'no', what: `${'a'.repeat(509)}…` }, bytes: 65_538 });
    expect(encodeLinkAnswer({ status: 'no', what: 'a'.repeat(5_000) })).toHaveLength(3 + 1024);
  });
});

it('reads whatever bytes come, of either side', () => {
  for (const seed of seeds) fuzz(seed);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => fuzz(bytes)));
});
