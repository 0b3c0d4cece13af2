/** HTTP at the agent's socket. */
import type { LocalOpening, LocalProtocol, LocalRefusal, LocalSession } from '../../../model/index.ts';
import { createRequestReader, createResponseReader, encodeProblem } from '../../../wire/http1/index.ts';

export const local: LocalProtocol = {
  id: 'http',
  socketFile: 'http.sock',
  speaksFirst: 'client',
  opening,
  /** Between requests nothing may be said: a client would take it for the answer to its next one. */
  refusal: (refusal, place) => (place === 'opening' ? refusalOf(refusal) : NOTHING),
  follow: () => new FollowedSession(),
  client: {
    program: 'curl',
    arguments: (folder) => ['--unix-socket', `${folder}/http.sock`],
    /** Clients come by a socket by their own arguments; what a proxy is told of would take the request elsewhere. */
    environment: (folder) => ({ COUNTERSIGN_HTTP_SOCKET: `${folder}/http.sock` }),
    loopback: ({ host, port }) => ({ COUNTERSIGN_URL: `http://${host}:${port}` }),
  },
};

/** Whatever it says, an answer can be told once it has said something. */
function opening(received: Buffer): LocalOpening {
  return received.length === 0 ? { step: 'more' } : { step: 'ready' };
}

function refusalOf({ kind, message, hint }: LocalRefusal): Buffer {
  return encodeProblem({ status: STATUSES[kind], title: message, reason: kind, hint }, { close: true });
}

/** By the framing of both sides; once that is not understood, or not HTTP any more, it can't be told where anything ends. */
class FollowedSession implements LocalSession {
  readonly #requests = createRequestReader();
  readonly #answers = createResponseReader({ allowObsText: true });
  #isAsked = false;
  #isLost = false;
  #wasUsed = false;

  saw(from: 'client' | 'gateway', bytes: Buffer): void {
    if (this.#isLost) return;
    this.#wasUsed = true;
    try {
      if (from === 'client') this.#sawRequest(bytes);
      else this.#sawAnswer(bytes);
    } catch {
      this.#isLost = true;
    }
  }

  place() {
    const isBetween = this.#wasUsed && !this.#isAsked && this.#requests.isBetween && this.#answers.isBetween;
    return isBetween && !this.#isLost ? 'rest' : 'amid';
  }

  #sawRequest(bytes: Buffer) {
    this.#requests.push(bytes);
    for (let event = this.#requests.next(); event !== undefined; event = this.#requests.next()) {
      if (event.kind !== 'head') continue;
      // Who asks before he is answered is not followed: none of the usual clients does.
      if (this.#isAsked || event.head.upgrade !== undefined) {
        this.#isLost = true;
        return;
      }
      this.#isAsked = true;
      this.#answers.expect(event.head.method);
    }
  }

  #sawAnswer(bytes: Buffer) {
    this.#answers.push(bytes);
    for (let event = this.#answers.next(); event !== undefined; event = this.#answers.next())
      if (event.kind === 'end') this.#isAsked = false;
  }
}

const NOTHING = Buffer.alloc(0);
const STATUSES: Readonly<Record<LocalRefusal['kind'], number>> = {
  identity: 401,
  gateway: 502,
  starting: 503,
  busy: 503,
  stopping: 503,
};
