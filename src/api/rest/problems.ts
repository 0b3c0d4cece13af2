import { EndpointError } from '../../endpoint/index.ts';
import { codeOf, type Log, messageOf } from '../../std/index.ts';
import { errorTable as jsonErrors } from '../../wire/json/index.ts';
import { isUnavailable, toldEntry } from '../status.ts';
import { errorTable, RestError } from './errors.ts';

/** An answer to a call that failed. @see RFC 9457 */
export interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: {
    /** `urn:countersign:error:` and our code. */
    readonly type: string;
    readonly title: string;
    readonly status: number;
    readonly detail: string;
    readonly code: string;
    /** What to do. */
    readonly remedy: string;
    /** By which the server's log knows the request. */
    readonly request: string;
    readonly problems?: readonly { readonly path: string; readonly message: string }[];
  };
}

/**
 * The one place where failures become answers of REST. What a table says that the caller is at fault of, the caller is told; whatever else is logged
 * here and answered with a bare code.
 */
export function problemOf(error: unknown, of: { log: Log; endpoint: string; request: string }): Problem {
  if (error instanceof RestError) return restProblem(error, of.request);
  const known = toldEntry(error);
  if (known !== undefined) return made(known.code, known.entry, { ...of, error, headers: {} });
  const code = codeOf(error) ?? '';
  if (code in jsonErrors) return made('ERR_REST_BODY', errorTable.ERR_REST_BODY, { ...of, error, headers: {} });
  const routed = OF_ROUTER.get(code);
  if (routed !== undefined) return restProblem(new RestError(...routed), of.request);
  const { log, endpoint, request } = of;
  if (isUnavailable(error) || isAbort(error)) {
    log.warn('api.rest.unavailable', { endpoint, request, error });
    const headers = { 'retry-after': '1' };
    const told = new RestError('ERR_REST_UNAVAILABLE', 'the server can not do this right now; try again', { headers });
    return restProblem(told, request);
  }
  log.error('api.rest.failed', { endpoint, request, error });
  return restProblem(new RestError('ERR_REST_INTERNAL', `the server failed; its log has it under ${request}`), request);
}

/** Of a failure that REST itself names. `request`: as in the answer; empty where none has come about. */
export function restProblem(error: RestError, request: string): Problem {
  return made(error.code, error.entry, { error, headers: error.headers, request });
}

function made(
  code: string,
  entry: { readonly status: number; readonly meaning: string; readonly remedy: string },
  { error, headers, request }: { error: unknown; headers: Problem['headers']; request: string },
): Problem {
  const { status, meaning, remedy } = entry;
  const problems = error instanceof EndpointError && error.problems.length > 0 ? { problems: error.problems } : {};
  const type = `urn:countersign:error:${code}`;
  const detail = messageOf(error);
  return { status, headers, body: { type, title: meaning, status, detail, code, remedy, request, ...problems } };
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && (error.name === 'AbortError' || error.name === 'TimeoutError');
}

/** What the router and its reader of bodies find, in words that repeat nothing of what was sent. */
const OF_ROUTER: ReadonlyMap<string, readonly [keyof typeof errorTable, string]> = new Map([
  ['FST_ERR_CTP_BODY_TOO_LARGE', ['ERR_REST_TOO_LARGE', 'the body has more bytes than this endpoint takes']],
  ['FST_ERR_CTP_INVALID_MEDIA_TYPE', ['ERR_REST_MEDIA', 'the body is not application/json']],
  ['FST_ERR_CTP_INVALID_CONTENT_LENGTH', ['ERR_REST_BODY', 'the body has not the length that was said']],
  ['FST_ERR_BAD_URL', ['ERR_REST_PATH', 'the path is not one that can be read']],
  ['FST_ERR_INVALID_URL', ['ERR_REST_PATH', 'the path is not one that can be read']],
  ['FST_ERR_MAX_PARAM_LENGTH', ['ERR_REST_PATH', 'a part of the path is longer than any name']],
]);
