import type { Revocation, RevocationState } from '../../model/index.ts';
import { sha256 } from '../../std/index.ts';
import type { JsonValue } from '../json/index.ts';

/** What makes a message of the feed what it is. */
export const revocationFeed = {
  /** `typ` of its statement. */
  type: 'countersign-revocations+jwt',
  audience: 'countersign-revocations',
  /** Of the bytes that tell this stream from others. */
  nonceBytesMin: 16,
  nonceBytesMax: 64,
  /** What this version reads, and says that it does: 1 knows members of labels. */
  format: 1,
  /** Incarnations that an incarnation says it follows. */
  followsMax: 16,
  /** Of a body: all that may stand, and a little around it. */
  bodyBytesMax: 3 * 1024 * 1024,
} as const;

/** One message: a signed statement, and the body that it holds the digest of. */
export interface RevocationUpdate {
  /** A JWT. */
  readonly statement: string;
  /** JSON. */
  readonly body: Uint8Array;
}

/** What a server says in one message. */
export interface ToldRevocations {
  readonly state: Omit<RevocationState, 'revocations'>;
  /** Incarnations that this one takes the place of, by order of an operator: newest first. */
  readonly follows: readonly string[];
  /** The state that the verifier has, which this one is known to come from; at first what the verifier says, or 0 and nothing. */
  readonly from: { readonly sequence: number; readonly mark: string };
  /** All that stand; or what has changed since `from`, and of a heartbeat nothing. */
  readonly what:
    | { readonly kind: 'full'; readonly revocations: readonly Revocation[] }
    | {
        readonly kind: 'delta';
        readonly added: readonly Revocation[];
        readonly lifted: readonly string[];
        /** Identities that have come to belong to a label that was told before; only for verifiers that know of members. */
        readonly joined?: readonly { readonly id: string; readonly members: readonly string[] }[];
      };
}

/**
 * The claims to sign and the body to send with them. `nonce` and `count` say which message of which stream it is: its verifier made the one, and counts
 * the other from 0.
 */
export function revocationClaims(
  told: ToldRevocations,
  stream: { readonly trustDomain: string; readonly nonce: Uint8Array; readonly count: number },
): { readonly claims: { readonly [name: string]: JsonValue }; readonly body: Buffer } {
  const { state, what, from, follows } = told;
  const body = encodeRevocationBody(what);
  const claims = {
    iss: `spiffe://${stream.trustDomain}`,
    aud: revocationFeed.audience,
    iat: Math.floor(state.issuedAtMs / 1000),
    ...{ issuedAtMs: state.issuedAtMs, incarnation: state.incarnation, follows: [...follows] },
    ...{ sequence: state.sequence, mark: state.mark, kind: what.kind },
    ...{ fromSequence: from.sequence, fromMark: from.mark },
    ...{ nonce: Buffer.from(stream.nonce).toString('base64url'), count: stream.count },
    sha256: sha256(body).toString('hex'),
  };
  return { claims, body };
}

/** How many bytes a set of revocations has in the feed. */
export function encodeRevocationBody(what: ToldRevocations['what']): Buffer {
  const { kind, ...rest } = what;
  return Buffer.from(JSON.stringify(rest), 'utf8');
}
