/** Why a request is refused before policy is asked. All of it is safe to show to the client: nothing of what it sent is quoted. */
export interface MeaningRefusal {
  /** HTTP status. */
  readonly status: number;
  readonly code: MeaningRefusalCode;
  /** One sentence that says what was wrong. */
  readonly message: string;
  /** What to do next. */
  readonly hint: string;
}

/** Kinds of refusals. */
export type MeaningRefusalCode =
  | 'http-body'
  | 'http-field'
  | 'http-host'
  | 'http-method'
  | 'http-path'
  | 'http-query'
  | 'http-size'
  | 'http-unlisted'
  | 'http-upgrade';

/** Makes one; 400 unless said otherwise. */
export function refusal(code: MeaningRefusalCode, message: string, hint: string, status = 400): MeaningRefusal {
  return { status, code, message, hint };
}

/** Tells a refusal from what else a function here gives. */
export function isRefusal(value: object): value is MeaningRefusal {
  return 'hint' in value && 'code' in value && 'status' in value;
}
