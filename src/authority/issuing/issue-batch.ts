import { messageOf, throwIfAborted } from '../../std/index.ts';
import type { IssuedX509Svid, X509SvidRequest } from '../authority.ts';
import { AuthorityError } from '../errors.ts';

/** Issues each request by itself: one that is refused does not stop the others. Other work gets its turn in between. */
export async function issueBatch(
  requests: readonly X509SvidRequest[],
  issue: (request: X509SvidRequest) => IssuedX509Svid,
  signal: AbortSignal | undefined,
): Promise<readonly ({ readonly svid: IssuedX509Svid } | { readonly error: Error })[]> {
  if (requests.length > BATCH_MAX) {
    throw new AuthorityError(
      'ERR_AUTHORITY_REQUEST',
      `a batch has at most ${BATCH_MAX} requests, not ${requests.length}`,
    );
  }
  const results: ({ svid: IssuedX509Svid } | { error: Error })[] = [];
  for (const [index, request] of requests.entries()) {
    if (index > 0 && index % BATCH_SLICE === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    if (signal) throwIfAborted(signal);
    try {
      results.push({ svid: issue(request) });
    } catch (error) {
      // A bad request is its own answer; the others are issued.
      results.push({ error: error instanceof Error ? error : new Error(messageOf(error)) });
    }
  }
  return results;
}

/** As many as SPIRE takes in one call. */
const BATCH_MAX = 500;
/** Each takes about a sixth of a millisecond: so the event loop is never held longer than three. */
const BATCH_SLICE = 16;
