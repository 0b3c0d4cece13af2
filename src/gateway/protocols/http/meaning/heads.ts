/** What is needed here of a message's head; structurally that of `wire/http1`. */
export interface Field {
  /** A token in lower case. */
  readonly name: string;
  readonly value: string;
}

/** Of a request, what says what it means. */
export interface RequestHead {
  /** A token, as written. */
  readonly method: string;
  /** Path and query as written; `*` of OPTIONS. */
  readonly target: string;
  /** In lower case, with the port if one was written. */
  readonly host: string;
  /** End-to-end fields in their order, without Host. */
  readonly fields: readonly Field[];
  /** The protocol asked for, in lower case. */
  readonly upgrade: string | undefined;
}

/** Of a response, what is shown of it. */
export interface ResponseHead {
  readonly fields: readonly Field[];
}
