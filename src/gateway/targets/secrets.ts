import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  openPrivateFolder,
  readGivenSecret,
  readPrivateFile,
  readTrustedFile,
  removePrivateFile,
  writePrivateFile,
} from '../../private-files/index.ts';
import { codeOf, messageOf, type Random, Secret, throwIfAborted } from '../../std/index.ts';
import { createSealer, type Sealer } from '../../wire/seal/index.ts';
import { GatewayError } from '../errors.ts';
import type { SecretResolver } from '../protocol.ts';

/** The gateway's secrets: what references point to, and a keystore of sealed files for those that have no better place. */
export interface SecretStore extends SecretResolver {
  /** Puts a secret into the keystore under that name, replacing what was there. @throws GatewayError ERR_GATEWAY_SECRET */
  put(name: string, secret: Secret, signal: AbortSignal): Promise<void>;
  /** Forgets a secret; nothing happens when there is none. @throws GatewayError ERR_GATEWAY_SECRET */
  remove(name: string): Promise<void>;
  /** Names in the keystore, sorted. */
  list(): Promise<readonly string[]>;
}

/**
 * Opens the secrets. `directory` holds one sealed file a secret (folder 0700, files 0600), encrypted under `key` (32 bytes) and bound to
 * its name. `env` is the environment that `env:` references look into. A reference is resolved each time it is needed; nothing is kept.
 */
export function createSecretStore(deps: {
  directory: string;
  key: Secret;
  random: Random;
  env: Readonly<Record<string, string | undefined>>;
}): SecretStore {
  const sealer = createSealer(deps.key, deps.random);
  const pathOf = (name: string) => {
    if (!NAME.test(name)) {
      throw failure(
        `keystore name ${JSON.stringify(name.slice(0, 80))}; 1 to 64 of a-z, 0-9, dot, dash and underscore are allowed`,
      );
    }
    return join(deps.directory, `${name}.sealed`);
  };
  return {
    async resolve(reference, signal) {
      throwIfAborted(signal);
      const [kind, rest] = [reference.slice(0, reference.indexOf(':')), reference.slice(reference.indexOf(':') + 1)];
      switch (kind) {
        case 'env':
        case 'file': {
          const options = { env: deps.env, bytesMax: SECRET_BYTES_MAX };
          return present(reference, async () => {
            try {
              return await readGivenSecret(reference, options);
            } catch (error) {
              if (kind !== 'file') throw error;
              return readCertificates(rest, error);
            }
          });
        }
        case 'keystore': {
          const path = pathOf(rest);
          const options = { bytesMax: SECRET_BYTES_MAX };
          return openSealed(sealer, await present(reference, () => readPrivateFile(path, options)), rest);
        }
        default:
          throw failure(`reference of kind ${JSON.stringify(kind)}; env, file and keystore exist`);
      }
    },
    async put(name, secret, signal) {
      throwIfAborted(signal);
      const path = pathOf(name);
      try {
        openPrivateFolder(deps.directory);
        await writePrivateFile(path, sealer.seal(secret.reveal(), contextOf(name)), deps.random);
      } catch (cause) {
        throw failure(`keystore entry ${name} can not be written: ${messageOf(cause)}`, cause);
      }
    },
    async remove(name) {
      const path = pathOf(name);
      try {
        await removePrivateFile(path);
      } catch (cause) {
        throw failure(`keystore entry ${name} can not be removed: ${messageOf(cause)}`, cause);
      }
    },
    async list() {
      try {
        const files = await readdir(deps.directory);
        return files.flatMap((file) => (file.endsWith('.sealed') ? [file.slice(0, -'.sealed'.length)] : [])).toSorted();
      } catch (cause) {
        if (codeOf(cause) === 'ENOENT') return [];
        throw failure(`the keystore can not be listed: ${messageOf(cause)}`, cause);
      }
    },
  };
}

/**
 * A file that others may read holds no secret when all it holds is certificates, as those of authorities mostly do. It must still be one that
 * nobody else may write. @throws what keeps it from being a secret, with what keeps it from being such a file where that is something else
 */
function readCertificates(path: string, notSecret: unknown): Secret {
  let bytes: Buffer | undefined;
  try {
    bytes = readTrustedFile(path, { bytesMax: CERTIFICATES_BYTES_MAX });
  } catch (cause) {
    const [asSecret, asCertificates] = [messageOf(notSecret), messageOf(cause)];
    if (asSecret === asCertificates) throw notSecret;
    throw failure(`${asSecret}; when it holds certificates only: ${asCertificates}`, notSecret);
  }
  const labels = [...(bytes?.toString('latin1') ?? '').matchAll(/-----BEGIN ([^\r\n]*)/g)].map(([, label]) => label);
  const isPublic = labels.length > 0 && labels.every((label) => label === 'CERTIFICATE-----');
  if (bytes === undefined || !isPublic) throw notSecret;
  return new Secret(bytes);
}

async function present<T>(reference: string, read: () => Promise<T | undefined>): Promise<T> {
  let found: T | undefined;
  try {
    found = await read();
  } catch (cause) {
    throw failure(messageOf(cause), cause);
  }
  if (found === undefined) throw failure(`${reference} is missing or empty`);
  return found;
}

function openSealed(sealer: Sealer, sealed: Buffer, name: string): Secret {
  try {
    return new Secret(sealer.open(sealed, contextOf(name)));
  } catch (cause) {
    throw failure(`keystore entry ${name} does not open: ${messageOf(cause)}`, cause);
  }
}

function contextOf(name: string): string {
  return `gateway-secret/${name}`;
}

function failure(message: string, cause?: unknown): GatewayError {
  return new GatewayError('ERR_GATEWAY_SECRET', message, { cause });
}

const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;
/** Keys and certificates are the largest. */
const SECRET_BYTES_MAX = 64 * 1024;
/** A system's own list of authorities has a quarter of that. */
const CERTIFICATES_BYTES_MAX = 1024 * 1024;
