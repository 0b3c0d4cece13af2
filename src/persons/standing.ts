import type { Clock } from '../std/index.ts';
import type { AddressRule } from './address.ts';
import type { PersonsTables } from './migrations.ts';

/** How long sign-ins last, and from where they are good. */
export interface SignInRules {
  /** Used or not. */
  readonly lifetimeMs: number;
  /** Since it was used last. */
  readonly idleMs: number;
  readonly from: AddressRule;
}

/** What the rules that are in force make of the row of a sign-in. */
export interface Standing {
  /** What was promised when it began, or less where the rules have become stricter since. */
  endsMs(row: SignInRow): number;
  /** Why it is none any more; undefined while it is one. */
  whyNot(row: SignInRow): 'over' | 'idle' | 'issuer' | undefined;
}

/** Creates it. `issuer`: whose word alone is taken. */
export function createStanding(deps: {
  readonly clock: Clock;
  readonly rules: SignInRules;
  readonly issuer: string;
}): Standing {
  const { clock, rules, issuer } = deps;
  const endsMs = ({ ends_ms, since_ms }: SignInRow) => Math.min(ends_ms, since_ms + rules.lifetimeMs);
  return {
    endsMs,
    whyNot(row) {
      const nowMs = clock.now();
      if (row.issuer !== issuer) return 'issuer';
      if (nowMs >= endsMs(row)) return 'over';
      return nowMs - row.seen_ms >= rules.idleMs ? 'idle' : undefined;
    },
  };
}

export type SignInRow = PersonsTables['persons_sign_ins'];
