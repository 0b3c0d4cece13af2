/** HTTP at the agent's socket. */
import type { LocalOpening, LocalProtocol, LocalRefusal, LocalSession } from '../../../model/index.ts';
import { createRequestReader, createResponseReader, encodeResponseHead } from '../../../wire/http1/index.ts';

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
  const status = STATUSES[kind];
  const body = Buffer.from(`${JSON.stringify({ type: 'about:blank', title: message, status, reason: kind, hint })}\n`);
  const head = encodeResponseHead({
    status,
    fields: [
      { name: 'content-type', value: 'application/problem+json' },
      { name: 'cache-control', value: 'no-store' },
    ],
    body: { kind: 'length', bytes: body.length },
    close: true,
  });
  return Buffer.concat([head, body]);
}

/** By the framing of both sides; once that is not understood, or not HTTP any more, it can't be told where anything ends. */
class FollowedSession implements LocalSession {
  readonly #requests = createRequestReader();
  readonly #answers = createResponseReader({ allowObsText: true });
  #open = 0;
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
    const isBetween = this.#wasUsed && this.#open === 0 && this.#requests.isBetween && this.#answers.isBetween;
    return isBetween && !this.#isLost ? 'rest' : 'amid';
  }

  #sawRequest(bytes: Buffer) {
    this.#requests.push(bytes);
    for (let event = this.#requests.next(); event !== undefined; event = this.#requests.next()) {
      if (event.kind !== 'head') continue;
      this.#open++;
      this.#answers.expect(event.head.method);
      if (event.head.upgrade !== undefined || this.#open > OPEN_MAX) this.#isLost = true;
    }
  }

  #sawAnswer(bytes: Buffer) {
    this.#answers.push(bytes);
    for (let event = this.#answers.next(); event !== undefined; event = this.#answers.next())
      if (event.kind === 'end') this.#open--;
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
/** So many requests at once nobody sends who waits for answers. */
const OPEN_MAX = 1_000;
