import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  formatCheckpoint,
  formatInclusionText,
  formatNote,
  formatSignature,
  formatVerifierKey,
  leafHash,
  noteKeyOf,
  parseCheckpoint,
  parseInclusionText,
  parseNote,
  parseVerifierKey,
  verifyCheckpoint,
  verifyNote,
} from './index.ts';

// The example note and key are those of Go's `golang.org/x/mod/sumdb/note` documentation.

const EXAMPLE_KEY = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const EXAMPLE_TEXT =
  "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const EXAMPLE_NOTE = `${EXAMPLE_TEXT}\n\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`;

const privateKey = createPrivateKey({
  key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, 'note')]),
  format: 'der',
  type: 'pkcs8',
});
const key = noteKeyOf('log.example/1', createPublicKey(privateKey));
const signed = (text: string) => formatNote(text, key, sign(null, Buffer.from(text), privateKey));
const ROOT = leafHash(Buffer.from('root'));
const code = (expected: string) => expect.objectContaining({ code: expected });

describe('a signed note', () => {
  it('verifies the published example, and its key is spelled as published', () => {
    const example = parseVerifierKey(EXAMPLE_KEY);
    expect(verifyNote(EXAMPLE_NOTE, example).text).toBe(EXAMPLE_TEXT);
    expect(formatVerifierKey(example)).toBe(EXAMPLE_KEY);
  });

  it('is refused with any one character of its text changed', () => {
    const note = signed('abc\ndef\n');
    for (let at = 0; at < 7; at++) {
      const wrong = `${note.slice(0, at)}x${note.slice(at + 1)}`;
      expect(() => verifyNote(wrong, key)).toThrow(code('ERR_TLOG_NOTE'));
    }
  });

  it('ignores signatures of other keys, but needs one of the given key', () => {
    const line = formatSignature({ name: 'witness.example', id: 7, signature: Buffer.alloc(64) });
    const sameName = formatSignature({ name: key.name, id: 7, signature: Buffer.alloc(64) });
    expect(verifyNote(`${signed('abc\n')}${line}${sameName}`, key).signatures).toHaveLength(3);
    expect(() => verifyNote(`abc\n\n${line}`, key)).toThrow(code('ERR_TLOG_NOTE'));
  });

  it('is refused when one of two signatures of the key is wrong', () => {
    const wrong = formatSignature({ name: key.name, id: key.id, signature: Buffer.alloc(64) });
    expect(() => verifyNote(`${signed('abc\n')}${wrong}`, key)).toThrow(code('ERR_TLOG_NOTE'));
  });

  it('may hold empty lines in its text: the last one separates', () => {
    expect(verifyNote(signed('a\n\nb\n'), key).text).toBe('a\n\nb\n');
  });

  it('takes 32 signatures and no more', () => {
    const line = formatSignature({ name: 'witness.example', id: 7, signature: Buffer.alloc(64) });
    expect(parseNote(`a\n\n${line.repeat(32)}`).signatures).toHaveLength(32);
    expect(() => parseNote(`a\n\n${line.repeat(33)}`)).toThrow(code('ERR_TLOG_NOTE'));
  });

  it.each([
    '',
    'abc',
    'abc\n',
    'abc\n\n',
    'abc\n\n\u2014 a b',
    'a\tb\n\n\u2014 n AAAAAWE=\n',
    'abc\n\n\u2014 n AAAA\n',
    'abc\n\n\u2014 n AAAAAWE= \n',
    'abc\n\n- n AAAAAWE=\n',
    'abc\n\n\u2014 n+m AAAAAWE=\n',
  ])('is refused when malformed: %j', (text) => expect(() => parseNote(text)).toThrow(code('ERR_TLOG_NOTE')));

  it('has a bounded size', () => {
    expect(() => parseNote(`${'a'.repeat(300_000)}\n\n\u2014 n AAAAAWE=\n`)).toThrow(code('ERR_TLOG_NOTE'));
  });
});

describe('a verifier key', () => {
  it.each([
    EXAMPLE_KEY.replace('c74f20a3', 'c74f20a4'),
    EXAMPLE_KEY.replace('+AR', '+AB'),
    EXAMPLE_KEY.slice(0, -4),
    'PeterNeumann',
    EXAMPLE_KEY.replace('PeterNeumann', 'Peter Neumann'),
  ])('is refused when malformed: %s', (text) => {
    expect(() => parseVerifierKey(text)).toThrow(code('ERR_TLOG_NOTE'));
  });

  it('is Ed25519 and nothing else', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    expect(() => noteKeyOf('log', publicKey)).toThrow(code('ERR_TLOG_NOTE'));
    expect(() => noteKeyOf('log', privateKey)).toThrow(code('ERR_TLOG_NOTE'));
  });
});

describe('a checkpoint', () => {
  const checkpoint = { origin: 'log.example/1', size: 20852163, root: ROOT };

  it('is read back as it was written', () => {
    expect(parseCheckpoint(formatCheckpoint(checkpoint))).toEqual(checkpoint);
    expect(verifyCheckpoint(signed(formatCheckpoint(checkpoint)), { origin: 'log.example/1', key })).toEqual(
      checkpoint,
    );
  });

  it('may have extension lines, which mean nothing here', () => {
    expect(parseCheckpoint(`${formatCheckpoint(checkpoint)}extension\n`)).toEqual(checkpoint);
  });

  it('of another log is refused though its signature is right', () => {
    const note = signed(formatCheckpoint({ ...checkpoint, origin: 'log.example/2' }));
    expect(() => verifyCheckpoint(note, { origin: 'log.example/1', key })).toThrow(code('ERR_TLOG_CHECKPOINT'));
  });

  const root = ROOT.toString('base64');
  it.each([
    `o\n1\n${root}`,
    `\n1\n${root}\n`,
    `o\n01\n${root}\n`,
    `o\n-1\n${root}\n`,
    `o\n9007199254740993\n${root}\n`,
    `o\n1\n${root.slice(4)}\n`,
    `o\n1\n${root}\n\nx\n`,
    'o\n1\n',
    `o\n1\n${root.replace('=', '')}\n`,
  ])('is refused when malformed: %j', (text) =>
    expect(() => parseCheckpoint(text)).toThrow(code('ERR_TLOG_CHECKPOINT')));

  it('can not be written with an origin of two lines', () => {
    expect(() => formatCheckpoint({ ...checkpoint, origin: 'a\nb' })).toThrow(code('ERR_TLOG_CHECKPOINT'));
  });
});

describe('the text of a proof', () => {
  const parts = {
    index: 73894,
    proof: [ROOT, leafHash(Buffer.from('x'))],
    checkpoint: signed(`o\n1\n${ROOT.toString('base64')}\n`),
  };

  it('is read back as it was written, with or without extra data', () => {
    const text = formatInclusionText(parts);
    expect(parseInclusionText(text)).toEqual(parts);
    expect(parseInclusionText(text.replace('\n', '\nextra AAAA\n'))).toEqual(parts);
    expect(parseInclusionText(formatInclusionText({ ...parts, proof: [] })).proof).toEqual([]);
  });

  it.each([
    (text: string) => text.replace('v1', 'v2'),
    (text: string) => text.replace('index 73894', 'index 073894'),
    (text: string) => text.replace('index 73894\n', ''),
    (text: string) => text.replace(ROOT.toString('base64'), 'AAAA'),
    (text: string) => text.replace('index 73894\n', `index 73894\n${`${ROOT.toString('base64')}\n`.repeat(52)}`),
    () => '',
  ])('is refused when malformed (%#)', (spoil) => {
    expect(() => parseInclusionText(spoil(formatInclusionText(parts)))).toThrow(code('ERR_TLOG_PROOF'));
  });
});
