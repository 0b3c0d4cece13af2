import { describe, expect, it } from 'vitest';
import { createSignatureCheck } from './signature-check.ts';

/** Runs `count` signatures through a check; says of each whether it was verified and whether it went out. */
function runs(algorithm: 'ecdsa-sha256' | 'rsa-sha256', count: number, isSound: (index: number) => boolean) {
  const check = createSignatureCheck(algorithm);
  return Array.from({ length: count }, (_, index) => {
    let verified = false;
    const sound = check.areSound(() => {
      verified = true;
      return isSound(index);
    });
    return { verified, sound };
  });
}

describe('the check of own signatures', () => {
  it('verifies the first of an issuer, and one in sixteen from then on', () => {
    const seen = runs('ecdsa-sha256', 64, () => true);
    expect(seen.flatMap(({ verified }, index) => (verified ? [index] : []))).toEqual([0, 16, 32, 48]);
    expect(seen.every(({ sound }) => sound)).toBe(true);
  });

  it('lets none out with a key that is not the certificate’s', () => {
    expect(runs('ecdsa-sha256', 100, () => false).some(({ sound }) => sound)).toBe(false);
  });

  it('verifies each of the next thousand after one was wrong, and then goes back to one in sixteen', () => {
    const seen = runs('ecdsa-sha256', 1200, (index) => index !== 16 && index !== 500);
    expect(seen[16]).toEqual({ verified: true, sound: false });
    expect(seen.slice(16, 1501).every(({ verified }) => verified)).toBe(true);
    const once = runs('ecdsa-sha256', 1200, (index) => index !== 16);
    expect(once.slice(16, 1017).every(({ verified }) => verified)).toBe(true);
    expect(once.slice(1017, 1032).some(({ verified }) => verified)).toBe(false);
    expect(once[1032]).toEqual({ verified: true, sound: true });
  });

  it('verifies every RSA signature', () => {
    expect(runs('rsa-sha256', 40, () => true).every(({ verified }) => verified)).toBe(true);
  });
});
