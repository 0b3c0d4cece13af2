import { type ClockOffset, formatDurationMs, type PeerClock } from '../../std/index.ts';
import type { Found, HealthCheck } from './conditions.ts';

/** Tells when this machine's clock and another's are apart, by how much, and which of them is likely wrong. */
export function createClockCheck(deps: {
  readonly peer: Pick<PeerClock, 'offset'>;
  /** Whose clock the other is: "the server". */
  readonly peerName: string;
  /** Whether the kernel holds this machine's clock for synchronised; undefined = it does not tell. */
  readonly synchronised: () => boolean | undefined;
}): HealthCheck {
  return () => {
    const offset = deps.peer.offset();
    if (offset === undefined || Math.abs(offset.aheadMs) < APART_MS_MAX) return [];
    return [{ severity: 'degraded', key: 'apart', ...sayApart(offset, deps) }];
  };
}

function sayApart(
  offset: ClockOffset,
  { peerName, synchronised }: Parameters<typeof createClockCheck>[0],
): Pick<Found, 'found' | 'remedy'> {
  const by = formatDurationMs(roundMs(Math.abs(offset.aheadMs)));
  const side = offset.aheadMs > 0 ? 'ahead of' : 'behind';
  const apart = `the clock of ${peerName} is ${offset.exact ? '' : 'at least '}${by} ${side} that of this machine`;
  const own = 'Likely wrong is the clock of this machine';
  const peer = `Likely wrong is the clock of ${peerName}`;
  switch (offset.stepped) {
    case 'own':
      return { found: `${apart}. ${own}: it was stepped while the other went on`, remedy: SET_OWN };
    case 'peer':
      return { found: `${apart}. ${peer}: it was stepped while this one went on`, remedy: setPeer(peerName) };
    case undefined:
      break;
    default:
      offset.stepped satisfies never;
  }
  const synced = synchronised();
  if (synced === true)
    return { found: `${apart}. ${peer}: this one is synchronised, the kernel says`, remedy: setPeer(peerName) };
  if (synced === false) return { found: `${apart}. ${own}: it is not synchronised, the kernel says`, remedy: SET_OWN };
  return { found: apart };
}

function setPeer(peerName: string): string {
  return `Set the clock of ${peerName} by NTP; if it is right, that of this machine.`;
}

/** Seconds while they matter, minutes beyond. */
function roundMs(apartMs: number): number {
  const unitMs = apartMs < MINUTES_FROM_MS ? 1000 : 60_000;
  return Math.round(apartMs / unitMs) * unitMs;
}

const SET_OWN = 'Set the clock of this machine by NTP; if it is right, the other one.';
/** Three times what SVIDs are backdated by: such a one was not valid yet at the other side. Delays of a network stay far below. */
const APART_MS_MAX = 30_000;
const MINUTES_FROM_MS = 10 * 60_000;
