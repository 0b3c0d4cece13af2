import { createPrivateKey, X509Certificate } from 'node:crypto';
import { statSync } from 'node:fs';
import { readGivenSecretNow, readTrustedFile } from '../private-files/index.ts';
import type { TlsIdentity } from '../rpc/index.ts';
import { codeOf, type Log, messageOf } from '../std/index.ts';
import { decodeCertificatesPem } from '../wire/x509/index.ts';
import { AppError } from './errors.ts';

/**
 * The certificate and key that an operator gives for REST: read when it is first asked for, and again when either file has changed. While what is
 * there now is no good, what was read before is shown. @throws AppError ERR_APP_CONFIG when there was nothing before
 */
export function createApiIdentity(deps: {
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly certificate: string;
  readonly key: string;
}): () => TlsIdentity {
  const { log, env, certificate, key } = deps;
  const keyFile = key.startsWith('file:') ? key.slice('file:'.length) : undefined;
  let known: { readonly identity: TlsIdentity; readonly stamp: string } | undefined;
  let failed = '';
  return () => {
    const stamp = [certificate, ...(keyFile === undefined ? [] : [keyFile])].map(stampOf).join(' ');
    if (known?.stamp === stamp || (known !== undefined && failed === stamp)) return known.identity;
    try {
      known = { identity: read(certificate, key, env), stamp };
      return known.identity;
    } catch (error) {
      const problem = `server.api: ${messageOf(error)}`;
      if (known === undefined) throw new AppError('ERR_APP_CONFIG', problem, { cause: error });
      // Once for each state of the files: it is asked for at each handshake.
      log.error('app.api.identity_not_read', { problem });
      failed = stamp;
      return known.identity;
    }
  };
}

function read(certificate: string, key: string, env: Readonly<Record<string, string | undefined>>): TlsIdentity {
  const pem = readTrustedFile(certificate, { bytesMax: PEM_BYTES_MAX });
  if (pem === undefined) throw new Error(`there is no file ${certificate}`);
  const chainDer = decodeCertificatesPem(pem.toString('utf8'));
  const [leaf] = chainDer;
  if (leaf === undefined) throw new Error(`there is no certificate in ${certificate}`);
  const secret = readGivenSecretNow(key, { env, bytesMax: PEM_BYTES_MAX });
  if (secret === undefined) throw new Error(`there is no key at ${key}`);
  const privateKey = createPrivateKey(secret.reveal());
  if (!new X509Certificate(leaf).checkPrivateKey(privateKey))
    throw new Error(`the key at ${key} is not that of the first certificate in ${certificate}`);
  return { chainDer, key: privateKey };
}

function stampOf(path: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(path);
    return `${mtimeMs}/${size}/${ino}`;
  } catch (error) {
    return codeOf(error) ?? 'unknown';
  }
}

const PEM_BYTES_MAX = 65_536;
