import { IdentityError, parseTrustDomain, type TrustDomain } from '@countersign/sdk/identity';
import type { Bundle, JwtAuthority, X509Authority } from '../../model/index.ts';
import { keyFits } from '../../wire/jose/index.ts';
import { loadPublicKey, parseCertificate, parsePublicKeyInfo, X509Error } from '../../wire/x509/index.ts';
import { AuthorityError } from '../errors.ts';
import type { JournalRow, StoredBundle } from '../journal.ts';

/** The own bundle: every authority of every server, from prepared until pruned, oldest first. */
export function ownBundle(trustDomain: TrustDomain, rows: readonly JournalRow[], sequence: number): Bundle {
  const x509Authorities: X509Authority[] = [];
  const jwtAuthorities: JwtAuthority[] = [];
  for (const row of rows) {
    if (row.kind === 'x509') x509Authorities.push({ der: row.certificateDer, tainted: row.tainted });
    else {
      const { id, publicKeyDer, expiresAtS, tainted } = row;
      jwtAuthorities.push({ keyId: id, publicKeyDer, expiresAtS, tainted });
    }
  }
  return { trustDomain, x509Authorities, jwtAuthorities, sequence, refreshHintS: REFRESH_HINT_S };
}

/**
 * Checks a bundle that comes from elsewhere: every certificate is a CA that can be read, every key loads and is strong enough that only its
 * owner can sign with it.
 * @throws AuthorityError ERR_AUTHORITY_BUNDLE
 */
export function checkForeignBundle(bundle: Bundle, own: TrustDomain): void {
  if (bundle.trustDomain === own)
    throw new AuthorityError('ERR_AUTHORITY_BUNDLE', `the bundle of ${own} is made here, not taken`);
  const count = bundle.x509Authorities.length + bundle.jwtAuthorities.length;
  if (count > AUTHORITIES_MAX) {
    throw new AuthorityError(
      'ERR_AUTHORITY_BUNDLE',
      `a bundle holds at most ${AUTHORITIES_MAX} authorities, this one ${count}`,
    );
  }
  for (const number of [bundle.sequence, bundle.refreshHintS, ...bundle.jwtAuthorities.map((key) => key.expiresAtS)]) {
    if (!Number.isSafeInteger(number) || number < 0) {
      throw new AuthorityError(
        'ERR_AUTHORITY_BUNDLE',
        `sequence, refresh hint and expiry are whole numbers, not ${number}`,
      );
    }
  }
  const keyIds = new Set(bundle.jwtAuthorities.map((key) => key.keyId));
  if (keyIds.size !== bundle.jwtAuthorities.length || keyIds.has('')) {
    throw new AuthorityError('ERR_AUTHORITY_BUNDLE', `the keys of ${bundle.trustDomain} need ids that differ`);
  }
  try {
    for (const { der } of bundle.x509Authorities) {
      const certificate = parseCertificate(der);
      if (!certificate.basicConstraints?.ca || !certificate.keyUsage?.has('keyCertSign')) {
        throw new AuthorityError(
          'ERR_AUTHORITY_BUNDLE',
          `the bundle of ${bundle.trustDomain} holds a certificate that is no CA`,
        );
      }
      parsePublicKeyInfo(certificate.spkiDer);
      certificate.publicKey();
    }
    for (const { keyId, publicKeyDer } of bundle.jwtAuthorities) {
      parsePublicKeyInfo(publicKeyDer);
      const key = loadPublicKey(publicKeyDer);
      if (!SIGNING_ALGORITHMS.some((algorithm) => keyFits(algorithm, key))) {
        throw new AuthorityError(
          'ERR_AUTHORITY_BUNDLE',
          `key ${keyId} of ${bundle.trustDomain} is of a kind that signs no tokens`,
        );
      }
    }
  } catch (cause) {
    if (cause instanceof X509Error) {
      throw new AuthorityError(
        'ERR_AUTHORITY_BUNDLE',
        `the bundle of ${bundle.trustDomain} can not be read: ${cause.message}`,
        { cause },
      );
    }
    throw cause;
  }
}

/** A foreign bundle as the store keeps it. */
export function storeBundle(bundle: Bundle): StoredBundle {
  const content: BundleContent = {
    x509: bundle.x509Authorities.map(({ der, tainted }) => ({ der: der.toString('base64'), tainted })),
    jwt: bundle.jwtAuthorities.map(({ keyId, publicKeyDer, expiresAtS, tainted }) => ({
      keyId,
      key: publicKeyDer.toString('base64'),
      expiresAtS,
      tainted,
    })),
  };
  const { trustDomain, sequence, refreshHintS } = bundle;
  return { trustDomain, sequence, refreshHintS, content: JSON.stringify(content) };
}

/** Reads back what {@link storeBundle} made. @throws AuthorityError ERR_AUTHORITY_JOURNAL */
export function loadBundle(stored: StoredBundle): Bundle {
  try {
    const content = JSON.parse(stored.content) as BundleContent; // Written by storeBundle alone; a wrong shape throws below.
    return {
      trustDomain: parseTrustDomain(stored.trustDomain),
      x509Authorities: content.x509.map(({ der, tainted }) => ({
        der: Buffer.from(der, 'base64'),
        tainted: tainted === true,
      })),
      jwtAuthorities: content.jwt.map(({ keyId, key, expiresAtS, tainted }) => ({
        keyId,
        publicKeyDer: Buffer.from(key, 'base64'),
        expiresAtS,
        tainted: tainted === true,
      })),
      sequence: stored.sequence,
      refreshHintS: stored.refreshHintS,
    };
  } catch (cause) {
    if (!(cause instanceof IdentityError || cause instanceof SyntaxError || cause instanceof TypeError)) throw cause;
    throw new AuthorityError('ERR_AUTHORITY_JOURNAL', `the stored bundle of ${stored.trustDomain} can not be read`, {
      cause,
    });
  }
}

interface BundleContent {
  readonly x509: readonly { readonly der: string; readonly tainted: boolean }[];
  readonly jwt: readonly {
    readonly keyId: string;
    readonly key: string;
    readonly expiresAtS: number;
    readonly tainted: boolean;
  }[];
}

const SIGNING_ALGORITHMS = ['ES256', 'ES384', 'ES512', 'RS256'] as const;
/** As the SPIFFE bundle endpoint suggests: five minutes. */
const REFRESH_HINT_S = 300;
/** A hundred servers with ten authorities each. */
const AUTHORITIES_MAX = 1000;
