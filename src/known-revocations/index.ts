/**
 * Who is revoked, as a verifier knows it: the feed of its server followed, each state in force at once, kept on disk and acknowledged.
 *
 * It promises that what is known never goes back: not by a message of an earlier time, another stream or another store, not by a restart, not by a
 * clock that is set; and that nothing is acknowledged before it is in effect and on disk. It must not know what a revocation does to sessions or caches,
 * nor how a server is reached.
 */
export { errorTable, KnownRevocationsError } from './errors.ts';
export { createKeptRevocations, type KeptRevocations } from './kept-revocations.ts';
export { createKnownRevocations, type KnownRevocations } from './known-revocations.ts';
export {
  type Acknowledgement,
  createRevocationWatch,
  type RevocationWatch,
  type WatchRequest,
} from './watch-revocations.ts';
