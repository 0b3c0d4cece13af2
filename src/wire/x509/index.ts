/**
 * X.509: strict DER, PEM, certificates, certificate requests, path validation, X.509-SVIDs.
 *
 * It promises that nothing it parsed had a second reading, that a path it accepted holds for every rule of RFC 5280 §6 that applies
 * here, and that a chain it calls an X.509-SVID follows every leaf rule of the SPIFFE specification; what is not understood is
 * refused. It must not know where certificates come from, which keys sign, or what time it is.
 *
 * Its folders:
 * - `der/` the encoding
 * - `names/` names of all kinds
 * - `keys/` public keys and signatures
 * - `certificates/` certificates and requests, read and written
 * - `validation/` paths, SVIDs and revocation lists: what may be believed
 */

export { type Certificate, parseCertificate, splitCertificates } from './certificates/certificate.ts';
export {
  buildCertificateRequest,
  type CertificateRequest,
  parseCertificateRequest,
} from './certificates/certificate-request.ts';
export {
  type CertificateIssuer,
  createSvidWriter,
  fixedWidthSerial,
  type SvidFields,
  type SvidWriter,
  writeCaCertificate,
} from './certificates/certificate-writer.ts';
export type { AuthorityKeyId, BasicConstraints, KeyUsage, NameConstraints } from './certificates/extensions.ts';
export { decodeCertificatesPem, decodePem, encodePem, type PemBlock } from './certificates/pem.ts';
export {
  type CertificateFields,
  writeServerCertificate,
  writeServerRoot,
} from './certificates/server-certificates.ts';
export { encodeTrustStore } from './certificates/trust-store.ts';
export { errorTable, X509Error } from './errors.ts';
export { keyIdOf } from './keys/key-id.ts';
export {
  loadPublicKey,
  type PublicKeyInfo,
  type PublicKeyKind,
  parsePublicKeyInfo,
  parseSubjectKey,
  type SubjectKey,
} from './keys/public-key.ts';
export { algorithmForKey, type SignatureAlgorithm, signWith } from './keys/signature-algorithm.ts';
export { comparableName, describeName } from './names/distinguished-name.ts';
export type { GeneralNames } from './names/general-names.ts';
export { encodeName, isDnsName, type NameAttributes } from './names/name-writer.ts';
export {
  type ChainFault,
  type ChainReason,
  describeCertificate,
  describeFault,
  ruleOf,
} from './validation/chain-fault.ts';
export { anchorFault, type ChainRules, type ChainUsage } from './validation/chain-rules.ts';
export { isListSignedBy, parseRevocationList, type RevocationList } from './validation/crl.ts';
export { noteSvidTimes } from './validation/svid-times.ts';
export { type ChainOptions, type ChainResult, verifyChain, verifySignedBy } from './validation/verify-chain.ts';
export { leafId, type SvidReason, type SvidResult, verifyX509Svid } from './validation/verify-svid.ts';
