import { ApiProblem } from '@countersign/sdk/browser';

/** What went wrong, in the words that the server, the commands and the reference have for it. */
export interface Problem {
  readonly title: string;
  readonly remedy: string;
  /** As docs/reference/errors.md has it; empty where no server has answered. */
  readonly code: string;
  /** By which the server's log knows the request; empty where none came there. */
  readonly request: string;
  /** Of an input: what is wrong with which field. */
  readonly fields: readonly { readonly path: string; readonly message: string }[];
}

/** What to show of whatever was thrown. */
export function problemOf(error: unknown): Problem {
  if (error instanceof ApiProblem) {
    const { message, remedy, code, request, problems } = error;
    return { title: message, remedy, code, request, fields: problems };
  }
  const nothing = { code: '', request: '', fields: [] };
  // `fetch` throws it when no answer came.
  if (error instanceof TypeError && /fetch|network|load failed/i.test(error.message))
    return {
      ...nothing,
      title: 'The server can not be reached.',
      remedy: 'Is it running, and this machine connected? What is shown is as it was.',
    };
  return {
    ...nothing,
    title: error instanceof Error ? error.message : 'Something went wrong in the console itself.',
    remedy: 'Load the page anew; if that does not help, report what it says.',
  };
}

/** Whether it may go well when it is tried again. */
export function mayPass(error: unknown): boolean {
  return !(error instanceof ApiProblem) || error.status === 429 || error.status >= 502 || error.status === 408;
}
