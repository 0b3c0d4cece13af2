/**
 * X.509: strict DER, PEM, certificates, certificate requests, path validation, X.509-SVIDs.
 *
 * It promises that nothing it parsed had a second reading, that a path it accepted holds for every rule of RFC 5280 §6 that applies
 * here, and that a chain it calls an X.509-SVID follows every leaf rule of the SPIFFE specification; what is not understood is
 * refused. It must not know where certificates come from, which keys sign, or what time it is.
 */

export { type Certificate, parseCertificate, splitCertificates } from './certificate.ts';
export { buildCertificateRequest, type CertificateRequest, parseCertificateRequest } from './certificate-request.ts';
export {
  type CertificateIssuer,
  createSvidWriter,
  fixedWidthSerial,
  type SvidFields,
  type SvidWriter,
  writeCaCertificate,
} from './certificate-writer.ts';
export { type ChainFault, type ChainReason, describeCertificate, describeFault, ruleOf } from './chain-fault.ts';
export { anchorFault, type ChainRules, type ChainUsage } from './chain-rules.ts';
export { isListSignedBy, parseRevocationList, type RevocationList } from './crl.ts';
export { comparableName, describeName } from './distinguished-name.ts';
export { errorTable, X509Error } from './errors.ts';
export type { AuthorityKeyId, BasicConstraints, KeyUsage, NameConstraints } from './extensions.ts';
export type { GeneralNames } from './general-names.ts';
export { keyIdOf } from './key-id.ts';
export { encodeName, isDnsName, type NameAttributes } from './names.ts';
export { decodeCertificatesPem, decodePem, encodePem, type PemBlock } from './pem.ts';
export {
  loadPublicKey,
  type PublicKeyInfo,
  type PublicKeyKind,
  parsePublicKeyInfo,
  parseSubjectKey,
  type SubjectKey,
} from './public-key.ts';
export { algorithmForKey, type SignatureAlgorithm, signWith } from './signature-algorithm.ts';
export { noteSvidTimes } from './svid-times.ts';
export { type ChainOptions, type ChainResult, verifyChain, verifySignedBy } from './verify-chain.ts';
export { leafId, type SvidReason, type SvidResult, verifyX509Svid } from './verify-svid.ts';
