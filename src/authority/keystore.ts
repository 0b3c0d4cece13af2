import type { KeyType, SigningAlgorithm } from '../model/index.ts';
import type { Log, Member, Random, Service } from '../std/index.ts';
import type { SignatureAlgorithm } from '../wire/x509/index.ts';

/** A kind of keystore: one folder in `keystores/`. */
export interface KeystoreMember extends Member {
  readonly kind: 'keystore';
  /**
   * The keystore for that config (checked against the member's schema here). Opens nothing: `start` does.
   * @throws AuthorityError ERR_KEYSTORE_CONFIG
   */
  open(config: unknown, deps: KeystoreDeps): Keystore & Service;
}

export interface KeystoreDeps {
  readonly log: Log;
  readonly random: Random;
  /** Where relative paths of the config lie; the working directory when absent. */
  readonly dataDir?: string;
}

/**
 * The port of keystores: where signing keys live. Private keys never come out; they sign inside. A key that `generate` has resolved
 * for is there after a crash (unless the keystore says that it forgets). All methods throw AuthorityError ERR_KEYSTORE_CLOSED before
 * `start` and after `stop`.
 */
export interface Keystore {
  /** Keys do not outlive the process: that they are gone at the next start is no loss. */
  readonly forgets?: true;
  /**
   * Makes a key and keeps it under `keyId` (1–128 of `[a-z0-9._-]`, starting with a letter or digit).
   * @throws AuthorityError ERR_KEYSTORE_KEY (id malformed or taken, too many keys), ERR_KEYSTORE_IO
   */
  generate(keyId: string, type: KeyType, signal: AbortSignal): Promise<SigningKey>;
  /** The key of that id, undefined when there is none. */
  find(keyId: string): SigningKey | undefined;
  /** All key ids, sorted. */
  list(): readonly string[];
  /** Destroys a key; nothing happens when there is none. Its handle signs no more. @throws AuthorityError ERR_KEYSTORE_IO */
  remove(keyId: string, signal: AbortSignal): Promise<void>;
}

/** A key in a keystore. Signing is synchronous: it is the hot path of issuing. */
export interface SigningKey {
  readonly keyId: string;
  readonly type: KeyType;
  /** PKIX DER. */
  readonly publicKeyDer: Buffer;
  /**
   * Signs as certificates want it (`ecdsa-sha256`…: DER) or as JWS wants it (`ES256`…: r‖s).
   * @throws AuthorityError ERR_KEYSTORE_CLOSED, ERR_KEYSTORE_KEY (the algorithm is not of this key type)
   */
  sign(data: Buffer, algorithm: SignatureAlgorithm | SigningAlgorithm): Buffer;
}
