import type { ApiReply, ApiRequest, SendRequest } from './api-client.ts';

/** That nobody was reached at a place, or nobody who has proved to be the server: nothing was sent. `cause` says what failed. */
export class NotReached extends Error {
  constructor(place: string, cause: unknown) {
    super(`${place}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'NotReached';
  }
}

/** A server, by what it is called, and the way to it; that rejects with {@link NotReached} where nothing was sent. */
export interface ServerWay {
  readonly name: string;
  readonly send: SendRequest;
}

/**
 * Sends to the server that answered last, else to the next. What may have been sent is sent again only where that does no more than once: what only looks,
 * and what has an idempotency key.
 */
export function createTurns(ways: readonly ServerWay[]): SendRequest {
  let current = 0;
  return async (request: ApiRequest): Promise<ApiReply> => {
    const isRepeatable = request.method === 'GET' || request.headers['idempotency-key'] !== undefined;
    const missed: unknown[] = [];
    const first = current;
    for (const n of ways.keys()) {
      const turn = (first + n) % ways.length;
      const way = ways[turn];
      if (way === undefined) continue;
      try {
        const reply = await way.send(request);
        current = turn;
        return reply;
      } catch (error) {
        if (request.signal?.aborted === true) throw error;
        if (!(error instanceof NotReached) && !isRepeatable)
          throw new Error(
            `${way.name} went away amid ${request.method} ${request.path}: it is not known whether that was done; look before you ask for it again`,
            { cause: error },
          );
        missed.push(error);
      }
    }
    const lost = missed.find((error) => !(error instanceof NotReached));
    if (lost !== undefined) throw lost;
    const what = missed.map((error) => (error instanceof Error ? error.message : String(error))).join('; ');
    throw Object.assign(new Error(`none is reached: ${what}`, { cause: missed[0] }), {
      ...{ code: 'ECONNREFUSED', syscall: 'connect' },
    });
  };
}
