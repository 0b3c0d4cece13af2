import { X509Certificate } from 'node:crypto';
// Before toLegacyObject is called: else that loads Node's TLS in an order that leaves it without createSecureContext, for good.
import 'node:tls';

/** The common names in the subject of a certificate (DER) that was parsed before. */
export function commonNames(certificateDer: Buffer): string[] {
  const { subject } = new X509Certificate(certificateDer).toLegacyObject();
  const names: unknown = Object.entries(subject).find(([key]) => key === 'CN')?.[1];
  return Array.isArray(names) ? names.map(String) : typeof names === 'string' ? [names] : [];
}
