/**
 * Sealing: secrets at rest, encrypted and bound to the place they belong to, under a key or a passphrase.
 *
 * It promises that an opened value is exactly what was sealed, for that context, under that key; anything else is an error. It must not
 * know of files or of what is sealed.
 */
export { errorTable, SealError } from './errors.ts';
export { unwrapKey, wrapKey } from './passphrase.ts';
export { createSealer, SEAL_KEY_BYTES, type Sealer } from './sealer.ts';
