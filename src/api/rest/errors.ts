import { CodedError, type ErrorEntry, type ErrorTable } from '../../std/index.ts';

/** What a caller is told of by whatever endpoint it calls. */
export const errorTable = {
  ERR_REST_PATH: {
    status: 404,
    exit: 'usage',
    meaning: 'There is no endpoint at that path.',
    remedy: 'Compare the path with /v1/openapi.json.',
  },
  ERR_REST_HEADER: {
    status: 400,
    exit: 'usage',
    meaning: 'A header of the request is not of its form.',
    remedy: 'Correct the header that the answer names.',
  },
  ERR_REST_BODY: {
    status: 400,
    exit: 'usage',
    meaning: 'The body is not JSON that every reader reads alike: no JSON, no UTF-8, a name twice, nested too deeply.',
    remedy: 'Send strict JSON (RFC 8259): each name once, at most as deep as the answer says.',
  },
  ERR_REST_CALLER: {
    status: 401,
    exit: 'no',
    meaning: 'Nobody proves who is calling, or the proof is not good at this moment.',
    remedy:
      'Call with an X.509-SVID in TLS, or with a JWT-SVID for the audience that the answer names; people sign in anew at /sign-in, or by `countersign login`.',
  },
  ERR_REST_FORBIDDEN: {
    status: 403,
    exit: 'no',
    meaning: 'The caller is known, and the policy of the API does not let it do that.',
    remedy:
      'Call as somebody who may; `countersign access explain` says who does, `countersign access apply` lets others, an entry with admin an identity.',
  },
  ERR_REST_ORIGIN: {
    status: 403,
    exit: 'no',
    meaning: 'A browser that has signed in sent it for a page of another origin, or does not say for which.',
    remedy: "Use the server's own pages; scripts call with an SVID, or with the token that `countersign login` keeps.",
  },
  ERR_REST_RETURN: {
    status: 400,
    exit: 'usage',
    meaning:
      'Signing in is not to lead there: only pages of the server itself follow on it, and the command line of this computer.',
    remedy: 'Begin at /sign-in, or with `countersign login`.',
  },
  ERR_REST_FLOW: {
    status: 403,
    exit: 'no',
    meaning: 'A provider led a browser back that was not sent there from here, or too long ago.',
    remedy: 'Begin again at /sign-in, in the browser that you want to be signed in with.',
  },
  ERR_REST_METHOD: {
    status: 405,
    exit: 'usage',
    meaning: 'The path is there, and not for that method.',
    remedy: 'Use one of the methods in the header Allow.',
  },
  ERR_REST_TIMEOUT: {
    status: 408,
    exit: 'unavailable',
    meaning: 'The request did not arrive, or was not done, within its time.',
    remedy: 'Send it again, faster; an act with the same Idempotency-Key.',
  },
  ERR_REST_KEY_IN_USE: {
    status: 409,
    exit: 'no',
    meaning:
      'A request with this Idempotency-Key is under way, or a server that had it stopped before it was told how it ended.',
    remedy: 'Wait and send it again; if that goes on, look whether it was done, and use a new key.',
  },
  ERR_REST_TOO_LARGE: {
    status: 413,
    exit: 'usage',
    meaning: 'The body is larger than the endpoint takes.',
    remedy: 'Send less at once; the answer names the bytes allowed.',
  },
  ERR_REST_MEDIA: {
    status: 415,
    exit: 'usage',
    meaning: 'The body is of a kind that no endpoint takes, or compressed.',
    remedy: 'Send application/json, uncompressed.',
  },
  ERR_REST_KEY_REUSED: {
    status: 422,
    exit: 'usage',
    meaning: 'This Idempotency-Key came before with another request.',
    remedy: 'Use a new key for each act; the same only to repeat the very same request.',
  },
  ERR_REST_RATE: {
    status: 429,
    exit: 'unavailable',
    meaning: 'The caller asks too often, or has too many requests or event streams open at once.',
    remedy: 'Wait as long as Retry-After says; close streams that are not read.',
  },
  ERR_REST_INTERNAL: {
    status: 500,
    exit: 'internal',
    meaning: 'The server failed; its log says how.',
    remedy: 'Look into the log of the server by the request that the answer names, and report it.',
  },
  ERR_REST_UNAVAILABLE: {
    status: 503,
    exit: 'unavailable',
    meaning: 'The server can not do this right now: it starts, stops, or its store is away.',
    remedy: 'Try again in a moment; /ready says what is wrong.',
  },
} as const satisfies ErrorTable;

/** A call that no endpoint answered. The message is told to the caller: never a secret. */
export class RestError extends CodedError<keyof typeof errorTable> {
  /** Headers of the answer. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: keyof typeof errorTable,
    message: string,
    options: { cause?: unknown; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(code, message, options);
    this.headers = options.headers ?? {};
  }

  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
