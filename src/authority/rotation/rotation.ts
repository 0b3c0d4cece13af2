/** What rotation needs to know of one own authority that is prepared or active. */
export interface RotationSlot {
  readonly id: string;
  readonly state: 'prepared' | 'active';
  readonly notBeforeS: number;
  readonly expiresAtS: number;
  readonly preparedAtMs: number;
  /** False when the keystore no longer has its key. */
  readonly usable: boolean;
}

/** The next step for the authorities of one kind. */
export type RotationStep =
  | { readonly step: 'none' }
  | { readonly step: 'prepare' }
  | { readonly step: 'activate' }
  | { readonly step: 'retire'; readonly id: string; readonly reason: RetireReason };

export type RetireReason = 'expired' | 'key-lost' | 'clock-stepped-back';

/** Times as {@link Timeline} tells them, epoch milliseconds. */
export interface RotationTime {
  readonly earliestMs: number;
  readonly latestMs: number;
}

/**
 * Decides the next step; the caller takes it and asks again until there is none. An authority is prepared when the active one has less than
 * half its life left (at most 30 days) and signs when that has less than a sixth left (at most 7 days), so there is always time for its
 * publication. With no usable active one, the next signs at once.
 */
export function decideRotation(slots: readonly RotationSlot[], time: RotationTime): RotationStep {
  for (const slot of slots) {
    if (!slot.usable) return { step: 'retire', id: slot.id, reason: 'key-lost' };
    if (time.latestMs >= slot.expiresAtS * 1000) return { step: 'retire', id: slot.id, reason: 'expired' };
  }
  const active = slots.find((slot) => slot.state === 'active');
  const prepared = slots.find((slot) => slot.state === 'prepared');
  // What begins after the time it may be was made under a clock that ran ahead: verifiers whose clock is right refuse what it signs, and it
  // would live too long.
  const early = [prepared, active].find((slot) => slot !== undefined && slot.notBeforeS * 1000 > time.earliestMs);
  if (early && early === prepared) return { step: 'retire', id: early.id, reason: 'clock-stepped-back' };
  if (early) return { step: prepared ? 'activate' : 'prepare' };
  if (!active) return { step: prepared ? 'activate' : 'prepare' };
  const lifeMs = (active.expiresAtS - active.notBeforeS) * 1000;
  const remainingMs = active.expiresAtS * 1000 - time.latestMs;
  if (!prepared) return { step: remainingMs < Math.min(lifeMs / 2, PREPARE_MS_MAX) ? 'prepare' : 'none' };
  const due = remainingMs < Math.min(lifeMs / 6, ACTIVATE_MS_MAX);
  return { step: due && wasPublished(prepared, time) ? 'activate' : 'none' };
}

/** A slot from the future was published before a clock was set back. */
function wasPublished(prepared: RotationSlot, time: RotationTime): boolean {
  const ageMs = time.latestMs - prepared.preparedAtMs;
  return ageMs < 0 || ageMs >= PUBLISH_MS;
}

/** How often rotation is looked at. */
export const CHECK_INTERVAL_MS = 10_000;
/** Agents hear of a new bundle within milliseconds, by polling within five seconds. */
const PUBLISH_MS = CHECK_INTERVAL_MS;
const DAY_MS = 86_400_000;
const PREPARE_MS_MAX = 30 * DAY_MS;
const ACTIVATE_MS_MAX = 7 * DAY_MS;
