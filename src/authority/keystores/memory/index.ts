/**
 * The `memory` keystore: keys live in the process and die with it.
 *
 * It promises that nothing is ever written down. After a restart every key is gone: the authority then makes new ones, and what the old
 * ones signed stays valid until it expires. It must not know what its keys sign.
 */
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { throwIfAborted } from '../../../std/index.ts';
import { AuthorityError } from '../../errors.ts';
import type { KeystoreMember, SigningKey } from '../../keystore.ts';
import { checkNewKeyId, createSigningKey, generatePrivateKey } from '../signing.ts';

const config = Type.Object({}, { additionalProperties: false });

export const member: KeystoreMember = {
  kind: 'keystore',
  id: 'memory',
  summary: 'Keys in the memory of the process: gone after a restart, for trying things out.',
  config,
  open(given) {
    if (!Value.Check(config, given))
      throw new AuthorityError('ERR_KEYSTORE_CONFIG', 'the memory keystore has no settings');
    const keys = new Map<string, SigningKey>();
    let running = false;
    const assertRunning = () => {
      if (!running) throw new AuthorityError('ERR_KEYSTORE_CLOSED', 'the memory keystore is not open');
    };
    return {
      forgets: true,
      async start() {
        running = true;
      },
      async stop() {
        running = false;
        keys.clear();
      },
      async generate(keyId, type, signal) {
        assertRunning();
        throwIfAborted(signal);
        checkNewKeyId(keyId, keys);
        const privateKey = await generatePrivateKey(type);
        assertRunning();
        throwIfAborted(signal);
        checkNewKeyId(keyId, keys);
        const key = createSigningKey(keyId, privateKey, () => running && keys.get(keyId) === key);
        keys.set(keyId, key);
        return key;
      },
      find(keyId) {
        assertRunning();
        return keys.get(keyId);
      },
      list() {
        assertRunning();
        return [...keys.keys()].sort();
      },
      async remove(keyId, signal) {
        assertRunning();
        throwIfAborted(signal);
        keys.delete(keyId);
      },
    };
  },
};
