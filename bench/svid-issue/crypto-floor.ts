import { createPublicKey, randomBytes, sign, verify } from 'node:crypto';
import type { Wish } from './fixture.ts';

/** What the three operations cost that nobody can leave out: load the key, verify the request, sign the certificate. */
export function cryptoFloor(asked: readonly Wish[], count: number): number {
  const first = asked[0];
  if (!first) return 0;
  const data = randomBytes(TBS_BYTES);
  const signatures = asked.map(({ privateKey }) => sign('sha256', data, privateKey));
  for (let index = 0; index < count; index++) {
    const wish = asked[index % asked.length] ?? first;
    const key = createPublicKey({ key: wish.spkiDer, format: 'der', type: 'spki' });
    verify('sha256', data, key, signatures[index % asked.length] ?? data);
    sign('sha256', data, first.privateKey);
  }
  return count;
}

/** As long as what is signed in an SVID. */
export const TBS_BYTES = 460;
