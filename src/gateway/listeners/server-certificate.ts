import { constants, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { decodeCertificatesPem } from '../../wire/x509/index.ts';
import { GatewayError } from '../errors.ts';

/** An ordinary certificate of a server, with its key: for clients that do not know the gateway's trust domain. */
export interface ServerCertificate {
  readonly context: SecureContext;
  /** Of its leaf, epoch milliseconds; what else is in the chain is for clients to judge, which may know another one. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Whether it has that host name or address; undefined: any address at all, since clients that dial one ask TLS for no name. */
  isFor(host: string | undefined): boolean;
}

/**
 * Makes one of PEM: the leaf first, then what leads to its root. `nowMs`: it must be good then.
 * @throws GatewayError ERR_GATEWAY_CERTIFICATE for what no client could take; nothing of the key is in it
 */
export function parseServerCertificate(pem: { certificate: Buffer; key: Buffer }, nowMs: number): ServerCertificate {
  const chain = readChain(pem.certificate);
  const [leaf] = chain;
  if (leaf === undefined) throw failure('the certificate file holds no certificate');
  const key = readKey(pem.key);
  if (!leaf.checkPrivateKey(key)) throw failure('the key does not belong to the certificate');
  const usages: readonly string[] | undefined = leaf.keyUsage; // Node: the extended ones.
  if (usages?.includes(SERVER_AUTH) === false) throw failure('the certificate is not for servers (no serverAuth)');
  if (leaf.subjectAltName === undefined) throw failure('the certificate has no host name (no subjectAltName)');
  const notBeforeMs = Date.parse(leaf.validFrom);
  const notAfterMs = Date.parse(leaf.validTo);
  if (nowMs < notBeforeMs) throw failure(`the certificate is not valid before ${textOf(notBeforeMs)}`);
  if (nowMs >= notAfterMs) throw failure(`the certificate has expired at ${textOf(notAfterMs)}`);
  return { context: contextOf(pem), notBeforeMs, notAfterMs, isFor: (host) => isFor(leaf, host) };
}

/** Whether that certificate has that name, as clients look for it: in subjectAltName alone, `*` for one whole label. */
export function hasHost(certificate: X509Certificate, host: string): boolean {
  if (isIP(host) !== 0) return certificate.checkIP(host) !== undefined;
  return certificate.checkHost(host, { subject: 'never', partialWildcards: false }) !== undefined;
}

function isFor(leaf: X509Certificate, host: string | undefined): boolean {
  if (host === undefined) return /(?:^|, )IP Address:/.test(leaf.subjectAltName ?? '');
  return hasHost(leaf, host.replace(/^\[(.*)\]$/, '$1'));
}

function readChain(pem: Buffer): readonly X509Certificate[] {
  try {
    return decodeCertificatesPem(pem.toString('latin1')).map((der) => new X509Certificate(der));
  } catch (cause) {
    throw failure('the certificate file is no PEM of certificates', cause);
  }
}

/** What OpenSSL says of it is left out: it may name what stands in the file. */
function readKey(pem: Buffer): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw failure('the key file is no PEM of a private key, or its key is encrypted');
  }
}

function contextOf({ certificate, key }: { certificate: Buffer; key: Buffer }): SecureContext {
  try {
    return createSecureContext({ ...serverTls, cert: certificate, key });
  } catch {
    throw failure('TLS does not take this certificate and key: the key may be too weak');
  }
}

function textOf(ms: number): string {
  return new Date(ms).toISOString();
}

function failure(what: string, cause?: unknown): GatewayError {
  return new GatewayError('ERR_GATEWAY_CERTIFICATE', what, { cause });
}

/** What every certificate of a door is shown with: TLS 1.3 only, no resumption, any client's certificate asked for. */
export const serverTls: SecureContextOptions = {
  ...{ ca: [], minVersion: 'TLSv1.3', secureOptions: constants.SSL_OP_NO_TICKET },
};
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
