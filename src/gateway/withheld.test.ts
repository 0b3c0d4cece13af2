// Goal: what was withheld comes back whole under its key, for the operation that it belongs to, and in no other way.
import { describe, expect, it } from 'vitest';
import { Secret } from '../std/index.ts';
import { createSealer } from '../wire/seal/index.ts';
import { openWithheld, sealWithheld } from './withheld.ts';

const sealer = createSealer(new Secret(Buffer.alloc(32, 1)));
const place = { session: 's1', operation: '4' };
const parts = { message: 'Key (ssn)=(078-05-1120) already exists.', where: 'Zeile 3 – “x”' };

describe('what was withheld', () => {
  it('is read with its key', () => {
    expect(openWithheld(sealer, sealWithheld(sealer, parts, place), place)).toEqual(parts);
  });

  it('shows nothing without it', () => {
    const sealed = sealWithheld(sealer, parts, place);
    expect(Buffer.from(sealed, 'base64url').toString('latin1')).not.toContain('078');
    const other = createSealer(new Secret(Buffer.alloc(32, 2)));
    expect(() => openWithheld(other, sealed, place)).toThrow(expect.objectContaining({ code: 'ERR_SEAL_BROKEN' }));
  });

  it.each([
    { session: 's2', operation: '4' },
    { session: 's1', operation: '5' },
  ])('is not that of %o', (elsewhere) => {
    const sealed = sealWithheld(sealer, parts, place);
    expect(() => openWithheld(sealer, sealed, elsewhere)).toThrow(expect.objectContaining({ code: 'ERR_SEAL_BROKEN' }));
  });

  it.each(['', 'no base64!', Buffer.alloc(60).toString('base64url')])('is not made of %o', (text) => {
    expect(() => openWithheld(sealer, text, place)).toThrow(expect.objectContaining({ code: 'ERR_SEAL_FORMAT' }));
  });

  it('is cut where it is long, and no half of a character stays', () => {
    const long = `${'a'.repeat(4095)}😀${'b'.repeat(9000)}`;
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`p${i}`, long]));
    const opened = openWithheld(sealer, sealWithheld(sealer, many, place), place);
    expect(Object.keys(opened)).toHaveLength(16);
    expect(opened['p0']).toBe(`${'a'.repeat(4095)}\uFFFD`);
  });
});
