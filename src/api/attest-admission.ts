import { Code, RpcError } from '../rpc/index.ts';
import type { Clock } from '../std/index.ts';

/**
 * Admits attestations. Strangers may ask for them, and each costs signatures and a write to the store, so they are limited by where they
 * come from: by rate, and by how many are open at once.
 */
export interface AttestAdmission {
  /**
   * Admits one attestation from there; the function returned says that it is over.
   * @throws RpcError RESOURCE_EXHAUSTED, telling when to try again
   */
  enter(source: string): () => void;
}

/** Creates {@link AttestAdmission}: a bucket of tokens for each source, in a table of bounded size. */
export function createAttestAdmission(clock: Clock): AttestAdmission {
  const buckets = new Map<string, Bucket>();
  let open = 0;
  let sweptMs = Number.NEGATIVE_INFINITY;
  const bucketOf = (source: string): Bucket => {
    const nowMs = clock.monotonicMs();
    const known = buckets.get(source);
    if (known !== undefined) return refill(known, nowMs);
    if (buckets.size >= SOURCES_MAX && nowMs - sweptMs >= SWEEP_MS) {
      sweptMs = nowMs;
      for (const [name, bucket] of buckets) if (isIdle(refill(bucket, nowMs))) buckets.delete(name);
    }
    // So many at once are one attack from many places: those that come on top share what one has.
    const name = buckets.size < SOURCES_MAX ? source : OTHERS;
    const bucket = buckets.get(name) ?? { tokens: BURST, atMs: nowMs, open: 0 };
    buckets.set(name, bucket);
    return refill(bucket, nowMs);
  };
  return {
    enter(source) {
      const bucket = bucketOf(source);
      if (open >= OPEN_MAX) throw exhausted(`${open} attestations are under way`, RETRY_S);
      if (bucket.open >= OPEN_PER_SOURCE_MAX)
        throw exhausted(`${bucket.open} attestations of yours are under way`, RETRY_S);
      if (bucket.tokens < 1) {
        throw exhausted(
          `over ${PER_SECOND} attestations a second come from your address`,
          Math.ceil((1 - bucket.tokens) / PER_SECOND),
        );
      }
      bucket.tokens--;
      bucket.open++;
      open++;
      let over = false;
      return () => {
        if (over) return;
        over = true;
        bucket.open--;
        open--;
      };
    },
  };
}

interface Bucket {
  tokens: number;
  atMs: number;
  open: number;
}

function refill(bucket: Bucket, nowMs: number): Bucket {
  bucket.tokens = Math.min(BURST, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * PER_SECOND);
  bucket.atMs = nowMs;
  return bucket;
}

/** Nothing would be different if it were made anew. */
function isIdle({ tokens, open }: Bucket): boolean {
  return tokens >= BURST && open === 0;
}

function exhausted(what: string, seconds: number): RpcError {
  return new RpcError(
    Code.RESOURCE_EXHAUSTED,
    `${what}; try again in ${seconds} s or later, and let nodes that share an address start spread over time`,
  );
}

/** One costs half a millisecond of processor time: what one source may ask for at any length is a hundredth of a core. */
const PER_SECOND = 20;
/** A cluster of a thousand nodes behind one address is through in half a minute, since refused agents come again. */
const BURST = 500;
/** One lasts milliseconds unless its node is slow or hostile; each holds a stream and up to a minute of time. */
const OPEN_PER_SOURCE_MAX = 64;
const OPEN_MAX = 2_048;
/** About a megabyte of table. */
const SOURCES_MAX = 10_000;
const SWEEP_MS = 1_000;
const RETRY_S = 5;
const OTHERS = 'others';
