import { descriptorsMax, type Log } from '../../std/index.ts';

/** The room that there is for so many sessions; said in the log when it is less than was wanted. */
export function fitRoom(deps: { log: Log; descriptors: number | undefined; sessionsMax: number }) {
  const descriptors = deps.descriptors ?? descriptorsMax() ?? DESCRIPTORS_ASSUMED;
  const room = roomFor(descriptors);
  if (room.sessionsMax >= deps.sessionsMax) return { ...room, sessionsMax: deps.sessionsMax };
  const { sessionsMax } = room;
  deps.log.warn('gateway.limits.descriptors', { descriptors, sessionsMax, wanted: deps.sessionsMax });
  return room;
}

/**
 * How many connections and sessions there may be with so many descriptors. Each session needs two, for its client and its target; what is
 * reserved must stay free, since a ledger that can't open its next segment stops everything.
 */
export function roomFor(descriptors: number): { connectionsMax: number; sessionsMax: number; newcomersMax: number } {
  const free = Math.max(0, descriptors - Math.min(RESERVED, Math.floor(descriptors / 2)));
  const newcomersMax = Math.max(1, Math.min(NEWCOMERS_MAX, Math.floor(free / 4)));
  const sessionsMax = Math.max(1, Math.floor((free - newcomersMax) / 2));
  return { connectionsMax: newcomersMax + sessionsMax, sessionsMax, newcomersMax };
}

/** Where the system does not say how many there are. */
const DESCRIPTORS_ASSUMED = 20_000;
/** Ledger, catalogs, cancellations, control link, health checks. */
const RESERVED = 256;
/** Connections that are not authenticated yet. At a hundred milliseconds each, that is ten thousand new ones a second. */
const NEWCOMERS_MAX = 1_000;
