import { describe, expect, it } from 'vitest';
import { Secret } from '../../../../std/index.ts';
import { createScrubber } from '../session/scrub.ts';
import { readCredential, withOlderForms } from './credential.ts';

const read = (text: string) =>
  readCredential(
    { credential: { bearer: 'env:X' } },
    { resolve: async () => Secret.fromText(text) },
    new AbortController().signal,
  );
const shown = async (secret: string, echo: string) => {
  const scrubber = createScrubber((await read(secret)).forms);
  return scrubber.push(Buffer.from(echo, 'latin1')).toString('latin1') + scrubber.end().toString('latin1');
};
const base64 = (text: string) => Buffer.from(text, 'latin1').toString('base64');
const SECRET = `p/a+b=c&"d'e<f>g h%?~!`;

describe('a credential that an answer repeats', () => {
  it.each([
    ['as it is', SECRET],
    ['in base64', base64(SECRET)],
    ['percent-encoded', encodeURIComponent(SECRET)],
    ['percent-encoded in lower case', encodeURIComponent(SECRET).replace(/%../g, (found) => found.toLowerCase())],
    [
      'percent-encoded with every sign',
      encodeURIComponent(SECRET).replace(/[!']/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`),
    ],
    ['as a message of gRPC', SECRET.replaceAll('%', '%25')],
    ['of a form', encodeURIComponent(SECRET).replaceAll('%20', '+')],
    ['as JSON', JSON.stringify(SECRET)],
    ['as JSON of PHP', JSON.stringify(SECRET).replaceAll('/', '\\/')],
    ['in hexadecimal', Buffer.from(SECRET).toString('hex')],
    [
      'in HTML',
      SECRET.replaceAll('&', '&amp;')
        .replaceAll('<', '&lt;')
        .replaceAll('>', '&gt;')
        .replaceAll('"', '&quot;')
        .replaceAll("'", '&#39;'),
    ],
  ])('is struck out %s', async (_, echo) => {
    expect(await shown(SECRET, `before ${echo} after`)).toMatch(/^before "?\*+"? after$/);
  });

  it.each(['', 'u', 'us', 'use', 'user:', 'Bearer '])('is struck out of base64 behind %j', async (before) => {
    const text = await shown('correct-horse', base64(`${before}correct-horse:x`));
    expect(text).toMatch(/\*{14,}/);
    expect(Buffer.from(text.replaceAll('*', ''), 'base64').toString('latin1')).not.toContain('orrect-hors');
  });

  it('is struck out of base64url', async () => {
    const secret = '???>>>???>>>';
    expect(await shown(secret, Buffer.from(secret).toString('base64url'))).toMatch(/^\*+$/);
  });

  it('is still found once a newer one is there', async () => {
    const both = withOlderForms(await read('newer-credential'), await read('older-credential'));
    const scrubber = createScrubber(both.forms);
    expect(scrubber.push(Buffer.from('older-credential newer-credential!')).toString()).toMatch(/^\*+ \*+!$/);
  });

  it('is not looked for where it is so short that it would be found everywhere', async () => {
    expect(await shown('abc', 'abc')).toBe('abc');
  });
});
