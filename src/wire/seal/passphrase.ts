import { scrypt } from 'node:crypto';
import { createSystemRandom, type Random, Secret } from '../../std/index.ts';
import { SealError } from './errors.ts';
import { createSealer, SEAL_KEY_BYTES } from './sealer.ts';

/**
 * Wraps a sealing key under a passphrase: `CSPW`, version, log2 N, r, p, 16 salt bytes, then the sealed key. The cost of one guess is
 * about 64 MiB and a tenth of a second.
 * @throws SealError ERR_SEAL_KEY
 */
export async function wrapKey(key: Secret, passphrase: Secret, random: Random = createSystemRandom()): Promise<Buffer> {
  if (key.reveal().length !== SEAL_KEY_BYTES) {
    throw new SealError('ERR_SEAL_KEY', `a sealing key has ${SEAL_KEY_BYTES} bytes, this one ${key.reveal().length}`);
  }
  const header = Buffer.concat([MAGIC, Buffer.from([COST_LOG2, BLOCK_SIZE, PARALLEL]), random.bytes(SALT_BYTES)]);
  const wrapping = await deriveKey(passphrase, header);
  return Buffer.concat([header, createSealer(wrapping, random).seal(key.reveal(), wrapContext(header))]);
}

/**
 * Opens what {@link wrapKey} made.
 * @throws SealError ERR_SEAL_FORMAT (not a wrapped key), ERR_SEAL_BROKEN (wrong passphrase, or edited)
 */
export async function unwrapKey(wrapped: Buffer, passphrase: Secret): Promise<Secret> {
  const header = wrapped.subarray(0, HEADER_BYTES);
  if (wrapped.length <= HEADER_BYTES || !header.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw new SealError('ERR_SEAL_FORMAT', 'the bytes are not a wrapped key of version 1');
  }
  const wrapping = await deriveKey(passphrase, header);
  return new Secret(createSealer(wrapping).open(wrapped.subarray(HEADER_BYTES), wrapContext(header)));
}

async function deriveKey(passphrase: Secret, header: Buffer): Promise<Secret> {
  const [costLog2 = 0, blockSize = 0, parallel = 0] = header.subarray(MAGIC.length, MAGIC.length + 3);
  // The parameters are read before anything is authenticated: an edited file must not make us take gigabytes.
  if (costLog2 < COST_LOG2_MIN || costLog2 > COST_LOG2_MAX || blockSize !== BLOCK_SIZE || parallel !== PARALLEL) {
    throw new SealError('ERR_SEAL_FORMAT', 'the wrapped key names key derivation parameters that are not allowed');
  }
  const cost = 2 ** costLog2;
  const parameters = { N: cost, r: blockSize, p: parallel, maxmem: 256 * cost * blockSize };
  const salt = header.subarray(HEADER_BYTES - SALT_BYTES);
  return new Promise((resolve, reject) => {
    scrypt(passphrase.reveal(), salt, SEAL_KEY_BYTES, parameters, (error, derived) => {
      if (error) reject(error);
      else resolve(new Secret(derived));
    });
  });
}

function wrapContext(header: Buffer): string {
  return `wrapped-key/${header.toString('hex')}`;
}

/** `CSPW` and the version. */
const MAGIC = Buffer.from([0x43, 0x53, 0x50, 0x57, 1]);
/** N = 2^16 with r = 8: 64 MiB for each guess. */
const COST_LOG2 = 16;
const COST_LOG2_MIN = 14;
/** 1 GiB at r = 8: the most that a later release may ask. */
const COST_LOG2_MAX = 20;
const BLOCK_SIZE = 8;
const PARALLEL = 1;
const SALT_BYTES = 16;
const HEADER_BYTES = MAGIC.length + 3 + SALT_BYTES;
