/**
 * The `disk` keystore: one sealed file a key, in a folder of its own.
 *
 * It promises that a key is on disk before it is used, that a file that was changed in any way is refused with its name, and that nobody but
 * the server's own user can read the folder. It must not know what its keys sign.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import * as path from 'node:path';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import {
  openPrivateFolder,
  readPrivateFile,
  removePrivateFile,
  removeUnfinished,
  writePrivateFile,
} from '../../../private-files/index.ts';
import { throwIfAborted } from '../../../std/index.ts';
import { createSealer, SealError, type Sealer } from '../../../wire/seal/index.ts';
import { AuthorityError } from '../../errors.ts';
import type { Keystore, KeystoreDeps, KeystoreMember, SigningKey } from '../../keystore.ts';
import { checkNewKeyId, createSigningKey, generatePrivateKey, KEY_ID_PATTERN, KEYS_MAX } from '../signing.ts';
import { openDataKey, readPassphrase } from './data-key.ts';
import { lockFolder } from './lock.ts';
import { KEY_FILE_BYTES_MAX, withOwnFiles } from './own-files.ts';

const config = Type.Object(
  {
    directory: Type.String({
      minLength: 1,
      default: 'keystore',
      description:
        "Folder of the keystore, made (0700) when it is missing; a relative one lies in the server's data folder.",
    }),
    passphrase: Type.Optional(
      Type.String({
        pattern: '^(env|file):.+$',
        description:
          'Where the passphrase is: `env:NAME` or `file:PATH`. Without one a random key file lies beside the keys: whoever copies the folder has them.',
      }),
    ),
  },
  { additionalProperties: false },
);
type DiskConfig = Static<typeof config>;

export const member: KeystoreMember = {
  kind: 'keystore',
  id: 'disk',
  summary: 'Keys in sealed files on this machine, under a passphrase or a key file.',
  config,
  open(given, deps) {
    const filled = Value.Default(config, structuredClone(given));
    if (!Value.Check(config, filled)) {
      const [first] = Value.Errors(config, filled);
      const where = first?.instancePath.slice(1) || 'config';
      throw new AuthorityError('ERR_KEYSTORE_CONFIG', `keystore disk: ${where} ${first?.message ?? 'is invalid'}`);
    }
    return createDiskKeystore(filled, deps);
  },
};

function createDiskKeystore(settings: DiskConfig, deps: KeystoreDeps): ReturnType<KeystoreMember['open']> {
  const directory = path.resolve(deps.dataDir ?? '.', settings.directory);
  const keysFolder = path.join(directory, 'keys');
  const fileOf = (keyId: string) => path.join(keysFolder, `${keyId}${KEY_SUFFIX}`);
  const keys = new Map<string, SigningKey>();
  const claimed = new Map<string, true>();
  let sealer: Sealer | undefined;
  let unlock: (() => void) | undefined;
  const openSealer = () => {
    if (!sealer) throw new AuthorityError('ERR_KEYSTORE_CLOSED', 'the disk keystore is not open');
    return sealer;
  };
  const keep = (keyId: string, privateKey: KeyObject) => {
    const key: SigningKey = createSigningKey(keyId, privateKey, () => sealer !== undefined && keys.get(keyId) === key);
    keys.set(keyId, key);
    claimed.set(keyId, true);
    return key;
  };
  const keystore: Keystore = {
    async generate(keyId, type, signal) {
      const usedSealer = openSealer();
      throwIfAborted(signal);
      checkNewKeyId(keyId, claimed);
      // Taken before the first wait: two callers with one id must not write the same file.
      claimed.set(keyId, true);
      try {
        const privateKey = await generatePrivateKey(type);
        throwIfAborted(signal);
        const plain = privateKey.export({ format: 'der', type: 'pkcs8' });
        const sealed = usedSealer.seal(plain, sealContext(keyId));
        await withOwnFiles(() => writePrivateFile(fileOf(keyId), sealed, deps.random));
        plain.fill(0);
        openSealer();
        return keep(keyId, privateKey);
      } finally {
        if (!keys.has(keyId)) claimed.delete(keyId);
      }
    },
    find(keyId) {
      openSealer();
      return keys.get(keyId);
    },
    list() {
      openSealer();
      return [...keys.keys()].sort();
    },
    async remove(keyId, signal) {
      openSealer();
      throwIfAborted(signal);
      if (!keys.delete(keyId)) return;
      await withOwnFiles(() => removePrivateFile(fileOf(keyId)));
      claimed.delete(keyId);
    },
  };
  return {
    ...keystore,
    async start(signal) {
      throwIfAborted(signal);
      const names = await withOwnFiles(async () => {
        openPrivateFolder(directory);
        openPrivateFolder(keysFolder);
        unlock = lockFolder(path.join(directory, 'lock'));
        await removeUnfinished(directory);
        await removeUnfinished(keysFolder);
        return (await readdir(keysFolder)).sort();
      });
      const passphrase = settings.passphrase === undefined ? undefined : await readPassphrase(settings.passphrase);
      const opened = createSealer(
        await openDataKey(directory, { passphrase, random: deps.random, keysExist: names.length > 0 }),
        deps.random,
      );
      for (const [keyId, key] of await readKeys(keysFolder, { names, sealer: opened, signal })) keep(keyId, key);
      sealer = opened;
      deps.log.info('authority.keystore.opened', { keystore: 'disk', directory, keys: keys.size });
    },
    async stop() {
      sealer = undefined;
      keys.clear();
      claimed.clear();
      unlock?.();
      unlock = undefined;
    },
  };
}

async function readKeys(
  folder: string,
  options: { readonly names: readonly string[]; readonly sealer: Sealer; readonly signal: AbortSignal },
): Promise<ReadonlyMap<string, KeyObject>> {
  if (options.names.length > KEYS_MAX) {
    throw new AuthorityError('ERR_KEYSTORE_DAMAGED', `${folder} holds ${options.names.length} files`);
  }
  const keys = new Map<string, KeyObject>();
  for (const name of options.names) {
    throwIfAborted(options.signal);
    const file = path.join(folder, name);
    const keyId = name.slice(0, -KEY_SUFFIX.length);
    if (!name.endsWith(KEY_SUFFIX) || !KEY_ID_PATTERN.test(keyId)) {
      throw new AuthorityError('ERR_KEYSTORE_DAMAGED', `${file} is no file of the keystore`);
    }
    keys.set(keyId, await readKey(file, keyId, options.sealer));
  }
  return keys;
}

async function readKey(file: string, keyId: string, sealer: Sealer): Promise<KeyObject> {
  const sealed = await withOwnFiles(() => readPrivateFile(file, { bytesMax: KEY_FILE_BYTES_MAX }));
  if (!sealed) throw new AuthorityError('ERR_KEYSTORE_DAMAGED', `${file} has vanished`);
  try {
    const plain = sealer.open(sealed, sealContext(keyId));
    const key = createPrivateKey({ key: plain, format: 'der', type: 'pkcs8' });
    plain.fill(0);
    return key;
  } catch (cause) {
    const why =
      cause instanceof SealError && cause.code === 'ERR_SEAL_BROKEN'
        ? 'was edited, or is from another keystore'
        : 'was cut off or edited';
    throw new AuthorityError('ERR_KEYSTORE_DAMAGED', `${file} ${why}`, { cause });
  }
}

function sealContext(keyId: string): string {
  return `keystore/disk/${keyId}`;
}

const KEY_SUFFIX = '.key';
