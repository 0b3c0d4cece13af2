import { generateKeyPairSync, sign, verify } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { derSignature, joinedSignature } from './ecdsa-signature.ts';

const curves = [
  { namedCurve: 'P-256', orderBytes: 32 },
  { namedCurve: 'P-384', orderBytes: 48 },
  { namedCurve: 'P-521', orderBytes: 66 },
] as const;
const data = Buffer.from('what is signed');

describe.each(curves)('an ECDSA signature on $namedCurve', ({ namedCurve, orderBytes }) => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve });
  const joinedKey = { key: publicKey, dsaEncoding: 'ieee-p1363' as const };

  it('means the same in both forms, as node:crypto reads them', () => {
    // Enough of them to meet numbers that are shorter than the order.
    for (let count = 0; count < (namedCurve === 'P-256' ? 1000 : 50); count++) {
      const der = sign('sha256', data, privateKey);
      const joined = joinedSignature(der, orderBytes);
      expect(joined).toHaveLength(2 * orderBytes);
      expect(verify('sha256', data, joinedKey, joined)).toBe(true);
      expect(derSignature(joined, orderBytes)?.equals(der)).toBe(true);
    }
  });

  it('comes back the same from any two numbers, short ones too', () => {
    const number = fc.tuple(
      fc.nat({ max: orderBytes }),
      fc.uint8Array({ minLength: orderBytes, maxLength: orderBytes }),
    );
    fc.assert(
      fc.property(number, number, (...numbers) => {
        const parts = numbers.map(([zeros, bytes]) => Buffer.from(bytes).fill(0, 0, zeros));
        const joined = Buffer.concat(parts);
        const der = derSignature(joined, orderBytes) ?? Buffer.alloc(0);
        expect(joinedSignature(der, orderBytes).equals(joined)).toBe(true);
        expect(verify('sha256', data, publicKey, der)).toBe(verify('sha256', data, joinedKey, joined));
      }),
    );
  });

  it('of another length has no other form', () => {
    for (const length of [0, 1, 2 * orderBytes - 1, 2 * orderBytes + 1, 4 * orderBytes])
      expect(derSignature(Buffer.alloc(length, 1), orderBytes)).toBeUndefined();
  });
});
