import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  cosignatureKeyOf,
  cosignedText,
  emptyRoot,
  formatCheckpoint,
  formatCosignature,
  formatNote,
  formatWitnessKey,
  noteKeyOf,
  parseWitnessKey,
  verifyCosignature,
  verifyNote,
} from './index.ts';

const log = generateKeyPairSync('ed25519');
const witness = generateKeyPairSync('ed25519');
const logKey = noteKeyOf('example.com/log', log.publicKey);
const key = cosignatureKeyOf('example.com/witness', witness.publicKey);
const text = formatCheckpoint({ origin: 'example.com/log', size: 0, root: emptyRoot() });
const note = formatNote(text, logKey, sign(null, Buffer.from(text), log.privateKey));
const signed = (timeS: number, of = text) => sign(null, cosignedText(of, { timeS }), witness.privateKey);
const cosigned = (timeS: number, of = text) => formatCosignature(key, { timeS }, signed(timeS, of));

describe('a cosignature', () => {
  it('signs the text behind its header and time, as C2SP tlog-cosignature has it', () => {
    expect(cosignedText('a\n', { timeS: 1679315147 }).toString()).toBe('cosignature/v1\ntime 1679315147\na\n');
  });

  it('has a key id over name, line feed, type 4 and public key', () => {
    const raw = Buffer.from(witness.publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
    const id = createHash('sha256').update('example.com/witness\n\x04').update(raw).digest().readUInt32BE(0);
    expect(key.id).toBe(id);
    expect(key.id).not.toBe(noteKeyOf(key.name, witness.publicKey).id);
    expect(parseWitnessKey(formatWitnessKey(key))).toMatchObject({ name: key.name, id });
  });

  it('verifies beside the signature of the log, which verifies on as before', () => {
    const both = note + cosigned(1679315147);
    expect(verifyCosignature(both, key)).toEqual({ timeS: 1679315147 });
    expect(verifyNote(both, logKey).text).toBe(text);
    expect(verifyCosignature(both + cosigned(1679315200), key)).toEqual({ timeS: 1679315200 });
  });

  it.each([
    ['there is none', note],
    ['it is over another text', note + cosigned(5, text.replace('\n0\n', '\n1\n'))],
    ['its time was changed', note + formatCosignature(key, { timeS: 6 }, signed(5))],
    ['one of two is wrong', note + cosigned(5) + cosigned(6, 'b\n')],
  ])('is refused when %s', (_, bad) => {
    expect(() => verifyCosignature(bad, key)).toThrow(expect.objectContaining({ code: 'ERR_TLOG_NOTE' }));
  });

  it.each([
    ['a key of a log', `${key.name}+00000000+AQ==`],
    ['no key', 'x'],
    ['another id', formatWitnessKey(key).replace(/\+[0-9a-f]{8}\+/, '+00000000+')],
  ])('has no key in %s', (_, bad) => {
    expect(() => parseWitnessKey(bad)).toThrow(expect.objectContaining({ code: 'ERR_TLOG_NOTE' }));
  });
});
