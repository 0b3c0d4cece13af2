import { parseTrustDomain } from '@countersign/sdk/identity';
import type { Bundle } from '../model/index.ts';

/** A bundle as it lies in a sealed file. */
export interface BundleJson {
  readonly trustDomain: string;
  readonly x509: readonly { readonly der: string; readonly tainted: boolean }[];
  readonly jwt: readonly {
    readonly keyId: string;
    readonly publicKey: string;
    readonly expiresAtS: number;
    readonly tainted: boolean;
  }[];
  readonly sequence: number;
  readonly refreshHintS: number;
}

export function bundleToJson(bundle: Bundle): BundleJson {
  return {
    trustDomain: bundle.trustDomain,
    x509: bundle.x509Authorities.map(({ der, tainted }) => ({ der: der.toString('base64'), tainted })),
    jwt: bundle.jwtAuthorities.map(({ keyId, publicKeyDer, expiresAtS, tainted }) => ({
      keyId,
      publicKey: publicKeyDer.toString('base64'),
      expiresAtS,
      tainted,
    })),
    sequence: bundle.sequence,
    refreshHintS: bundle.refreshHintS,
  };
}

export function bundleFromJson(json: BundleJson): Bundle {
  return {
    trustDomain: parseTrustDomain(json.trustDomain),
    x509Authorities: json.x509.map(({ der, tainted }) => ({ der: Buffer.from(der, 'base64'), tainted })),
    jwtAuthorities: json.jwt.map(({ keyId, publicKey, expiresAtS, tainted }) => ({
      keyId,
      publicKeyDer: Buffer.from(publicKey, 'base64'),
      expiresAtS,
      tainted,
    })),
    sequence: json.sequence,
    refreshHintS: json.refreshHintS,
  };
}
