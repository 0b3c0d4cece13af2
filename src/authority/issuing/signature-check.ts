import type { SignatureAlgorithm } from '../../wire/x509/index.ts';

/** Decides which of an issuer's own signatures are verified before they leave. */
export interface SignatureCheck {
  /** False when this signature was verified and does not hold. `verify` is called when it is this one's turn. */
  areSound(verify: () => boolean): boolean;
}

/**
 * Verifies the first signature of an issuer (a key that is not the certificate's) and from then on one in sixteen (a device or a machine
 * that has begun to fail); once one was wrong, each of the next thousand. An ECDSA signature costs two and a half times as much to verify
 * as to make, and a wrong one that gets away is refused by every verifier. RSA is verified always: that is cheap there, and a single wrong
 * signature made with the Chinese remainder theorem gives the private key away.
 */
export function createSignatureCheck(algorithm: SignatureAlgorithm): SignatureCheck {
  const always = algorithm.startsWith('rsa-');
  let untilNext = 0;
  let suspected = 0;
  return {
    areSound(verify) {
      if (!always && suspected === 0 && untilNext > 0) {
        untilNext--;
        return true;
      }
      untilNext = CHECKED_ONE_IN - 1;
      if (suspected > 0) suspected--;
      if (verify()) return true;
      suspected = SUSPECTED_FOR;
      return false;
    },
  };
}

/** At most fifteen wrong signatures get away, at a sixteenth of the price. */
const CHECKED_ONE_IN = 16;
const SUSPECTED_FOR = 1000;
