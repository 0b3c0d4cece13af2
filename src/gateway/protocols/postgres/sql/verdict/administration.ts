import type { RefusedText } from '../refusal.ts';
import { databaseResource } from '../resources.ts';
import type { Analysis } from '../walk/analysis.ts';

/** Asks policy whether this principal administers the database. */
export function askAdministration({ questions, place }: Analysis): void {
  questions.push({ action: 'postgres:admin', resource: databaseResource(place) });
}

/**
 * Of what reaches past what the gateway can see: files, programs, other servers, credentials, SQL in a string, the server's own tables. It is
 * administration, and `refusal` the answer to whom policy does not allow that; while columns are masked it is the answer to all (decision 0021).
 */
export function askPastSight({ questions, place, taint, found }: Analysis, refusal: RefusedText): void {
  if (taint.isInForce) throw refusal;
  found.writes = true;
  questions.push({ action: 'postgres:admin', resource: databaseResource(place), otherwise: refusal });
}
