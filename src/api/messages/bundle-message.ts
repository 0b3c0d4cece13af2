import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  BundleMask,
  Bundle as BundleMessage,
  BundleSchema,
} from '@countersign/sdk/contract/gen/spire/api/types/bundle_pb.ts';
import { parseTrustDomain } from '@countersign/sdk/identity';
import type { Bundle } from '../../model/index.ts';
import { trustDomainText } from '../ids.ts';
import { invalid } from '../status.ts';

/** A bundle as the SPIRE API writes it, only with the fields of the mask; the trust domain always. */
export function toBundleMessage(bundle: Bundle, mask: BundleMask | undefined): MessageInitShape<typeof BundleSchema> {
  const wants = (field: keyof BundleMask) => mask === undefined || mask[field] === true;
  return {
    trustDomain: bundle.trustDomain,
    ...(wants('x509Authorities') && {
      x509Authorities: bundle.x509Authorities.map(({ der, tainted }) => ({ asn1: der, tainted })),
    }),
    ...(wants('jwtAuthorities') && {
      jwtAuthorities: bundle.jwtAuthorities.map(({ keyId, publicKeyDer, expiresAtS, tainted }) => ({
        keyId,
        publicKey: publicKeyDer,
        expiresAt: BigInt(expiresAtS),
        tainted,
      })),
    }),
    ...(wants('refreshHint') && { refreshHint: BigInt(bundle.refreshHintS) }),
    ...(wants('sequenceNumber') && { sequenceNumber: BigInt(bundle.sequence) }),
  };
}

/** A bundle that a caller sent; the authority checks what is in it. @throws RpcError INVALID_ARGUMENT; IdentityError */
export function parseBundle(message: BundleMessage): Bundle {
  return {
    trustDomain: parseTrustDomain(trustDomainText(message.trustDomain)),
    x509Authorities: message.x509Authorities.map(({ asn1, tainted }) => ({ der: Buffer.from(asn1), tainted })),
    jwtAuthorities: message.jwtAuthorities.map((key) => ({
      keyId: key.keyId,
      publicKeyDer: Buffer.from(key.publicKey),
      expiresAtS: whole(key.expiresAt, 'expires_at'),
      tainted: key.tainted,
    })),
    sequence: whole(message.sequenceNumber, 'sequence_number'),
    refreshHintS: whole(message.refreshHint, 'refresh_hint'),
  };
}

/** `known` with the fields of the mask taken from `change`. */
export function mergeBundle(known: Bundle, change: Bundle, mask: BundleMask | undefined): Bundle {
  const takes = (field: keyof BundleMask) => mask === undefined || mask[field] === true;
  return {
    trustDomain: known.trustDomain,
    x509Authorities: takes('x509Authorities') ? change.x509Authorities : known.x509Authorities,
    jwtAuthorities: takes('jwtAuthorities') ? change.jwtAuthorities : known.jwtAuthorities,
    refreshHintS: takes('refreshHint') ? change.refreshHintS : known.refreshHintS,
    sequence: takes('sequenceNumber') ? change.sequence : known.sequence,
  };
}

/** A number that fits. @throws RpcError INVALID_ARGUMENT */
function whole(value: bigint, field: string): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(`${field} is out of range`);
  return Number(value);
}
