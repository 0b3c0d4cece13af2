import type { Clock, Random } from '../../std/index.ts';
import { type Backoff, createBackoff } from '../backoff.ts';
import type { AgentEntry, X509Svid } from './types.ts';

/** One entry with what the cache knows of its SVID. */
export interface Slot {
  entry: AgentEntry;
  svid: X509Svid | undefined;
  /** When to renew the SVID, epoch ms; 0 = at once. */
  rotateAtMs: number;
  /** Counts up with every use in the cache: the smaller, the longer ago. */
  usedAt: number;
  /** Not asked for before this, epoch ms. */
  retryAtMs: number;
  readonly backoff: Backoff;
}

/** A slot that holds no SVID yet. */
export function emptySlot(entry: AgentEntry, random: Random): Slot {
  const backoff = createBackoff(random, { firstMs: RETRY_FIRST_MS, maxMs: RETRY_MAX_MS });
  return { entry, svid: undefined, rotateAtMs: 0, usedAt: 0, retryAtMs: 0, backoff };
}

/** True while the SVID may be handed out. */
export function isValid(svid: X509Svid | undefined, clock: Clock): svid is X509Svid {
  return svid !== undefined && clock.now() < svid.expiresAtMs;
}

/** What to mint now, most wanted first: subscribed without a valid SVID, due for renewal, then ahead of need while there is room. */
export function planMinting(
  slots: Iterable<Slot>,
  options: { clock: Clock; subscribed: ReadonlySet<string>; svidsMax: number },
): AgentEntry[] {
  const { clock, subscribed } = options;
  const nowMs = clock.now();
  const wanted: Slot[] = [];
  const renew: Slot[] = [];
  const ahead: Slot[] = [];
  let held = 0;
  for (const slot of slots) {
    if (slot.svid) held++;
    if (slot.retryAtMs > nowMs) continue;
    if (!isValid(slot.svid, clock) && subscribed.has(slot.entry.id)) wanted.push(slot);
    else if (slot.svid && slot.rotateAtMs <= nowMs) renew.push(slot);
    else if (!slot.svid && slot.entry.prefetch) ahead.push(slot);
  }
  renew.sort((a, b) => Number(subscribed.has(b.entry.id)) - Number(subscribed.has(a.entry.id)));
  ahead.sort((a, b) => b.usedAt - a.usedAt || b.entry.createdAtS - a.entry.createdAtS);
  const room = Math.max(0, options.svidsMax - held - wanted.length);
  return [...wanted, ...renew, ...ahead.slice(0, room)].map((slot) => slot.entry);
}

/** Drops the SVIDs used longest ago until `svidsMax` are left; subscribed ones stay. */
export function evictUnused(slots: Iterable<Slot>, subscribed: () => ReadonlySet<string>, svidsMax: number): void {
  const held = [...slots].filter((slot) => slot.svid !== undefined);
  let excess = held.length - svidsMax;
  if (excess <= 0) return;
  const kept = subscribed();
  for (const slot of held.toSorted((a, b) => a.usedAt - b.usedAt)) {
    if (excess <= 0) return;
    if (kept.has(slot.entry.id)) continue;
    slot.svid = undefined;
    excess--;
  }
}

/** When the next SVID is due for renewal, and when the next one expires; epoch ms, `Infinity` for never. */
export function nextTimes(slots: Iterable<Slot>, clock: Clock): { renewAtMs: number; expireAtMs: number } {
  let renewAtMs = Number.POSITIVE_INFINITY;
  let expireAtMs = Number.POSITIVE_INFINITY;
  for (const { svid, rotateAtMs, retryAtMs } of slots) {
    if (!svid) continue;
    renewAtMs = Math.min(renewAtMs, Math.max(rotateAtMs, retryAtMs));
    if (isValid(svid, clock)) expireAtMs = Math.min(expireAtMs, svid.expiresAtMs);
  }
  return { renewAtMs, expireAtMs };
}

const RETRY_FIRST_MS = 5_000;
/** A refused entry usually goes with the next sync; asking every minute is cheap and heals what was a hiccup. */
const RETRY_MAX_MS = 60_000;
