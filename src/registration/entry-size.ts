import type { Entry } from '../model/index.ts';

/** Bytes that the entry takes in a message, rounded up: most take some hundred, the largest that are allowed some hundred thousand. */
export function entryBytes(entry: Entry): number {
  let bytes = FIXED_BYTES + entry.id.length + entry.spiffeId.uri.length + entry.parentId.uri.length;
  for (const { type, value } of entry.selectors)
    bytes += FRAMING_BYTES + Buffer.byteLength(type) + Buffer.byteLength(value);
  for (const name of entry.dnsNames) bytes += FRAMING_BYTES + name.length;
  for (const name of entry.federatesWith) bytes += FRAMING_BYTES + name.length;
  return bytes + Buffer.byteLength(entry.hint);
}

/** Of those that come first, how many fit into one message; one at least, as none is larger than {@link PAGE_BYTES_MAX}. */
export function entriesInPage(entries: readonly Entry[], countMax: number): number {
  let bytes = 0;
  for (const [place, entry] of entries.entries()) {
    bytes += entryBytes(entry);
    if (place >= countMax || (place > 0 && bytes > PAGE_BYTES_MAX)) return place;
  }
  return entries.length;
}

/** Lengths, tags, the numbers and truth values. */
const FIXED_BYTES = 100;
const FRAMING_BYTES = 12;
/** Below the 4 MiB that clients of gRPC take unless they are told otherwise. */
const PAGE_BYTES_MAX = 3 * 1024 * 1024;
