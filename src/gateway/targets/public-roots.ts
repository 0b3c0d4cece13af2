import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';

/**
 * What verifies a server whose target names no roots: the authorities that Node brings (with those of NODE_EXTRA_CA_CERTS) and those that the
 * system has been told of, where a company puts its own. A container may have none of the latter. Both are read once in a process.
 */
export function publicRoots(): string[] {
  roots ??= [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
  return roots;
}

/** A context of those roots: made of hundreds of certificates, which takes tens of milliseconds, so all logins share one. */
export function publicContext(): SecureContext {
  context ??= createSecureContext({ ...TLS, ca: publicRoots() });
  return context;
}

let roots: string[] | undefined;
let context: SecureContext | undefined;

/** Of each connection to a server. */
export const TLS = { minVersion: 'TLSv1.2' } as const;
