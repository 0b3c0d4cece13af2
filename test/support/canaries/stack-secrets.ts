/** The secrets that every stack is made with, and where each of them may be. */
import * as path from 'node:path';
import type { StackFolder } from '../stack-folder.ts';
import { canary, type StackCanaries } from './stack-canaries.ts';

export type SecretName = 'target' | 'store' | 'joinToken' | 'keystorePassphrase' | 'agentPassphrase' | 'masked';

/** New ones; the join token is empty until the server has made it. */
export function createSecrets(): Record<SecretName, string> {
  return {
    target: canary(),
    store: canary(),
    joinToken: '',
    keystorePassphrase: canary(),
    agentPassphrase: canary(),
    masked: canary(),
  };
}

/** Where each secret may be: what was given to a role lies in the one file that the role was given it in. */
export function watchSecrets(
  canaries: StackCanaries,
  from: { secrets: Readonly<Record<SecretName, string>>; folder: StackFolder; rows: readonly string[]; rowsIn: string },
): void {
  const { secrets, folder, rows, rowsIn } = from;
  canaries.add({
    name: 'password of the target',
    value: secrets.target,
    may: [path.join(folder.path, GUIDE_PASSWORD)],
  });
  canaries.allowTraces(path.join(folder.path, GUIDE_SVID));
  canaries.add({ name: 'password of the store', value: secrets.store, may: [folder.storeUrl] });
  canaries.add({
    name: 'passphrase of the keystore',
    value: secrets.keystorePassphrase,
    may: [folder.passphrases.server],
  });
  canaries.add({ name: 'passphrase of the agent', value: secrets.agentPassphrase, may: [folder.passphrases.agent] });
  canaries.add({ name: 'masked row', value: secrets.masked, may: [rowsIn] });
  // A word that the test's source holds is looked for in this stack only.
  for (const value of rows) canaries.add({ name: 'masked row', value, may: [rowsIn] }, { known: true });
}

/** The reader of the guides keeps the password in a file, and an SVID with its key in a folder, as they tell. */
const GUIDE_PASSWORD = path.join('reader', 'work', 'password.txt');
const GUIDE_SVID = path.join('reader', 'work', 'svid');
