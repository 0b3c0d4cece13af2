/** What a server answered in place of what was asked for. @see RFC 9457 */
export class ApiProblem extends Error {
  /** Of HTTP. */
  readonly status: number;
  /** As docs/reference/errors.md has it; empty when it was no Countersign server that answered. */
  readonly code: string;
  /** What to do. */
  readonly remedy: string;
  /** By which the server's log knows the request. */
  readonly request: string;
  readonly problems: readonly { readonly path: string; readonly message: string }[];
  /** Seconds to wait before it is tried again; undefined: the server does not say. */
  readonly retryAfterS: number | undefined;

  constructor(status: number, text: string, retryAfter: string | undefined) {
    const said = fieldsOf(text);
    super(said.detail === '' ? `the server answered with status ${status}` : said.detail);
    this.name = 'ApiProblem';
    this.status = status;
    this.code = said.code;
    this.remedy = said.remedy;
    this.request = said.request;
    this.problems = said.problems;
    this.retryAfterS = retryAfter !== undefined && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : undefined;
  }
}

function fieldsOf(text: string) {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    given = undefined; // Not of our server: what it says is nothing that can be relied on.
  }
  const fields: Record<string, unknown> = typeof given === 'object' && given !== null ? { ...given } : {};
  const word = (name: string) => (typeof fields[name] === 'string' ? fields[name] : '');
  const problems = Array.isArray(fields['problems']) ? fields['problems'] : [];
  return {
    ...{ detail: word('detail'), code: word('code'), remedy: word('remedy'), request: word('request') },
    problems: problems.flatMap((one: unknown) =>
      typeof one === 'object' && one !== null && 'path' in one && 'message' in one
        ? [{ path: String(one.path), message: String(one.message) }]
        : [],
    ),
  };
}
