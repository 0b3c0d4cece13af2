// Goal: what was withheld comes back whole under its key, for the operation that it belongs to, and in no other way.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../std/index.ts';
import { createSealer } from '../../wire/seal/index.ts';
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
    const long = { message: '😀'.repeat(9000), detail: 'short', where: 'w'.repeat(70_000_000) };
    const sealed = sealWithheld(sealer, long, place);
    expect(sealed.length).toBeLessThanOrEqual(1400);
    const { message, detail, where } = openWithheld(sealer, sealed, place);
    expect(detail).toBe('short');
    expect(message).toMatch(/^(😀)+\uFFFD?$/u);
    expect(where?.length).toBeGreaterThan(100);
  });

  it('is bounded however many parts there are, and whatever is in them', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ maxLength: 300 }), fc.string({ unit: 'binary', maxLength: 3000 })),
        (many) => {
          const sealed = sealWithheld(sealer, many, place);
          expect(sealed.length).toBeLessThanOrEqual(1400);
          for (const [name, text] of Object.entries(openWithheld(sealer, sealed, place)))
            expect(many[name]?.startsWith(text.replace(/\uFFFD$/u, ''))).toBe(true);
        },
      ),
    );
  });
});
