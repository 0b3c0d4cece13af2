import { Secret } from '../std/index.ts';
import { readGivenFile } from './given-file.ts';

/**
 * Reads the secret that a reference, `env:NAME` or `file:PATH`, points to; one newline at its end, which editors put there, is not part of
 * it. `env` is the environment to look into, for systemd's `CREDENTIALS_DIRECTORY` too; for files see `readGivenFile`. Undefined when there is none or an empty one.
 * @throws PrivateFileError ERR_PRIVATE_FILE_UNSAFE, ERR_PRIVATE_FILE_SIZE, ERR_PRIVATE_FILE_IO
 */
export async function readGivenSecret(reference: string, options: GivenSecretOptions): Promise<Secret | undefined> {
  return readGivenSecretNow(reference, options);
}

/** As `readGivenSecret`, for who can't wait. @throws PrivateFileError as that does */
export function readGivenSecretNow(reference: string, options: GivenSecretOptions): Secret | undefined {
  const at = reference.indexOf(':') + 1;
  const [kind, name] = [reference.slice(0, at), reference.slice(at)];
  const bytes =
    kind === 'file:'
      ? readGivenFile(name, { ...options, credentials: options.env['CREDENTIALS_DIRECTORY'] })
      : variable(kind, name, options.env);
  if (bytes === undefined) return undefined;
  const secret = withoutNewline(bytes);
  return secret.length === 0 ? undefined : new Secret(secret);
}

interface GivenSecretOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly bytesMax: number;
  readonly groupMayRead?: boolean;
}

function variable(kind: string, name: string, env: Readonly<Record<string, string | undefined>>): Buffer | undefined {
  const value = kind === 'env:' ? env[name] : undefined;
  return value === undefined ? undefined : Buffer.from(value);
}

function withoutNewline(bytes: Buffer): Buffer {
  if (bytes.at(-1) !== 0x0a) return bytes;
  return bytes.subarray(0, bytes.at(-2) === 0x0d ? -2 : -1);
}
