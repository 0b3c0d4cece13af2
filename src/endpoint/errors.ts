import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';

/** What a caller of an endpoint is told. */
export const errorTable = {
  ERR_ENDPOINT_INPUT: {
    status: 400,
    exit: 'usage',
    meaning: 'The path, the query, a header or the body is not what the endpoint takes.',
    remedy: 'Correct what the answer names; /v1/openapi.json says what each endpoint takes.',
  },
  ERR_ENDPOINT_CURSOR: {
    status: 400,
    exit: 'usage',
    meaning: 'The cursor is none that was handed out for this question.',
    remedy: 'Begin at the first page; send cursors as they came, with the same filters.',
  },
  ERR_ENDPOINT_NOT_FOUND: {
    status: 404,
    exit: 'no',
    meaning: 'There is nothing of that name.',
    remedy: 'Compare the name with the list.',
  },
  ERR_ENDPOINT_CHANGED: {
    status: 412,
    exit: 'no',
    meaning: 'What was to be changed is not as it was when the caller looked; nothing was done.',
    remedy: 'Look again, and repeat what is still wanted.',
  },
  ERR_ENDPOINT_REFUSED: {
    status: 422,
    exit: 'no',
    meaning: 'The request is well formed, and what it asks for is not taken; nothing was done.',
    remedy: 'Correct each of the problems that the answer lists.',
  },
} as const satisfies ErrorTable;

/** Codes of endpoints. */
export type EndpointErrorCode = keyof typeof errorTable;

/** One thing that is wrong with what was sent; `path` is a JSON pointer into the input, or names a resource. */
export interface InputProblem {
  readonly path: string;
  readonly message: string;
}

/** Why a call is not answered as it was asked. The message and the problems are told to the caller: never a secret. */
export class EndpointError extends CodedError<EndpointErrorCode> {
  readonly problems: readonly InputProblem[];

  constructor(
    code: EndpointErrorCode,
    message: string,
    options: { cause?: unknown; problems?: readonly InputProblem[] } = {},
  ) {
    super(code, message, options);
    this.problems = options.problems ?? [];
  }

  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
