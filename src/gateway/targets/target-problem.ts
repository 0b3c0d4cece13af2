import { errorTable, GatewayError } from '../errors.ts';
import type { TargetWarning } from '../protocol.ts';

/** What keeps a target from being served as it was declared; no secret is in it. */
export interface TargetProblem {
  readonly target: string;
  /** One sentence. */
  readonly what: string;
  /** What the operator does about it. */
  readonly remedy: string;
  /**
   * Where the target itself is well: what of the policies does not fit it, as {@link TargetWarning} says; or its door's own certificate, which can't
   * be used now (`certificate`), or before long can't or is none for some hosts (`certificate-soon`).
   */
  readonly about?: TargetWarning['about'] | 'certificate' | 'certificate-soon';
}

export function problemOf(target: string, error: unknown): TargetProblem {
  if (error instanceof GatewayError) return { target, what: error.message, remedy: errorTable[error.code].remedy };
  // A bug, whose words nobody has chosen: they are for the log.
  return { target, what: 'the gateway failed to open it', remedy: 'See the log of the gateway.' };
}
