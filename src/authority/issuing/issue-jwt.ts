import type { TrustDomain } from '@countersign/sdk/identity';
import type { JwtAuthority } from '../../model/index.ts';
import { assert, type Random } from '../../std/index.ts';
import { algorithmForKeyType, signJwt, verifyJwtSvid } from '../../wire/jose/index.ts';
import type { IssuedJwtSvid, JwtSvidRequest, Statement } from '../authority.ts';
import { AuthorityError } from '../errors.ts';
import type { JournalRow } from '../journal.ts';
import type { SigningKey } from '../keystore.ts';
import type { Timeline } from '../timeline.ts';
import { checkTtl } from './issue-x509.ts';

/** Issues JWT-SVIDs of one active key. */
export interface JwtIssuer {
  readonly id: string;
  issue(request: JwtSvidRequest): IssuedJwtSvid;
  sign(statement: Statement): string;
}

/**
 * Creates the issuer of an active JWT key.
 * @throws AuthorityError ERR_AUTHORITY_JOURNAL
 */
export function createJwtIssuer(deps: {
  readonly row: JournalRow;
  readonly key: SigningKey;
  readonly trustDomain: TrustDomain;
  readonly timeline: Timeline;
  readonly random: Random;
  readonly defaultTtlMs: number;
  readonly issuer: string | undefined;
}): JwtIssuer {
  const { row, key, timeline } = deps;
  if (!row.publicKeyDer.equals(key.publicKeyDer)) {
    throw new AuthorityError(
      'ERR_AUTHORITY_JOURNAL',
      `authority ${row.id} and key ${key.keyId} do not belong together`,
    );
  }
  const algorithm = algorithmForKeyType(key.type);
  const authorities: readonly JwtAuthority[] = [
    { keyId: row.id, publicKeyDer: row.publicKeyDer, expiresAtS: row.expiresAtS, tainted: false },
  ];
  return {
    id: row.id,
    issue(request) {
      const latestS = Math.floor(timeline.latestMs() / 1000);
      if (latestS >= row.expiresAtS)
        throw new AuthorityError('ERR_AUTHORITY_NOT_READY', `the active JWT key ${row.id} has expired`);
      checkRequest(request, deps.trustDomain);
      const ttlS = request.ttlS === 0 ? Math.floor(deps.defaultTtlMs / 1000) : request.ttlS;
      const issuedAtS = Math.floor(timeline.earliestMs() / 1000);
      const expiresAtS = Math.min(latestS + ttlS, row.expiresAtS);
      const claims = {
        sub: request.spiffeId.uri,
        aud: request.audience,
        exp: expiresAtS,
        iat: issuedAtS,
        ...(deps.issuer === undefined ? {} : { iss: deps.issuer }),
        jti: deps.random.bytes(16).toString('base64url'),
      };
      const token = signJwt({ algorithm, keyId: row.id, key: (input) => key.sign(input, algorithm), claims });
      const [audience = ''] = request.audience;
      // Read back before it leaves: what verifiers would refuse must not be handed out.
      const check = verifyJwtSvid({ token, audience, authorities: () => authorities, nowMs: latestS * 1000 });
      if (!check.ok || check.svid.id.uri !== request.spiffeId.uri || check.svid.expiresAtS !== expiresAtS) {
        throw new AuthorityError(
          'ERR_AUTHORITY_SELF_CHECK',
          `the token signed for ${request.spiffeId.uri} does not verify`,
        );
      }
      return { token, issuedAtS, expiresAtS };
    },
    sign({ type, claims }) {
      assert(type !== 'JWT' && type !== 'JOSE', 'a statement is no token');
      if (Math.floor(timeline.latestMs() / 1000) >= row.expiresAtS)
        throw new AuthorityError('ERR_AUTHORITY_NOT_READY', `the active JWT key ${row.id} has expired`);
      return signJwt({ algorithm, keyId: row.id, key: (input) => key.sign(input, algorithm), type, claims });
    },
  };
}

function checkRequest({ spiffeId, audience, ttlS }: JwtSvidRequest, trustDomain: TrustDomain): void {
  if (spiffeId.trustDomain !== trustDomain || spiffeId.path === '') {
    throw new AuthorityError('ERR_AUTHORITY_REQUEST', `${spiffeId.uri} is no workload or node of ${trustDomain}`);
  }
  checkTtl(ttlS);
  const validAudiences = audience.every((each) => each !== '' && each.length <= AUDIENCE_CHARS_MAX);
  if (audience.length === 0 || audience.length > AUDIENCES_MAX || !validAudiences) {
    throw new AuthorityError(
      'ERR_AUTHORITY_REQUEST',
      `a token has 1 to ${AUDIENCES_MAX} audiences of 1 to ${AUDIENCE_CHARS_MAX} characters`,
    );
  }
}

/** Every audience can replay the token at every other: more than a few is a mistake. */
const AUDIENCES_MAX = 16;
/** Sixteen of these still make a token that fits into a header. */
const AUDIENCE_CHARS_MAX = 512;
