import { encodeResponseHead } from './encode.ts';

/** What went wrong, for programs and for people. @see RFC 9457 */
export interface Problem {
  readonly status: number;
  readonly title: string;
  /** One word of why, which programs can tell apart. */
  readonly reason: string;
  /** What to do next. */
  readonly hint: string;
  /** Undefined: no such member. */
  readonly policies?: readonly string[] | undefined;
}

/** How it is sent. */
export interface ProblemToSend {
  /** The connection ends behind it. */
  readonly close: boolean;
  /** The request was HEAD. */
  readonly answersHead?: boolean;
  readonly retryAfterS?: number | undefined;
  /** How the client is to prove who it is: `www-authenticate`. */
  readonly challenge?: string | undefined;
}

/** A whole answer that is a problem document, which nobody may keep. */
export function encodeProblem(
  problem: Problem,
  { close, answersHead = false, retryAfterS, challenge }: ProblemToSend,
): Buffer {
  const { title, status, reason, hint, policies } = problem;
  const document = { type: 'about:blank', title, status, reason, hint, policies };
  const body = Buffer.from(`${JSON.stringify(document)}\n`);
  const fields = [
    { name: 'content-type', value: 'application/problem+json' },
    { name: 'cache-control', value: 'no-store' },
    ...(retryAfterS === undefined ? [] : [{ name: 'retry-after', value: String(retryAfterS) }]),
    ...(challenge === undefined ? [] : [{ name: 'www-authenticate', value: challenge }]),
  ];
  const head = { status, fields, close };
  if (answersHead)
    return encodeResponseHead({ ...head, body: { kind: 'none' }, answersHead, announcedBytes: body.length });
  return Buffer.concat([encodeResponseHead({ ...head, body: { kind: 'length', bytes: body.length } }), body]);
}
