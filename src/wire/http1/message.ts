/** A field of a message. */
export interface Field {
  /** A token in lower case. */
  readonly name: string;
  /** Visible ASCII, blanks and tabs; none of these two at its ends. With `allowObsText` also 0x80-0xFF, each byte one character. */
  readonly value: string;
}

/** Where a body ends. `none` is also one that says it has no byte. */
export type BodyLength =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'chunked' }
  /** Of responses only: with the connection. */
  | { readonly kind: 'close' };

/** What comes before the body of a request. */
export interface RequestHead {
  /** A token, as written. */
  readonly method: string;
  /** Path and query as written, `/…` in visible ASCII without `#`; `*` of OPTIONS; the host and port of CONNECT. */
  readonly target: string;
  readonly version: '1.0' | '1.1';
  /** Host name, IPv4 address, or IPv6 address in brackets, in lower case, with the port if one was written. */
  readonly host: string;
  /** Those meant for the other end, in their order: without what is between two neighbours, what frames the body, and Host. */
  readonly fields: readonly Field[];
  readonly body: BodyLength;
  /** True when another request may follow on the connection: never of 1.0. */
  readonly keepAlive: boolean;
  /** True when the client may wait for a 100 before it sends the body. */
  readonly expectsContinue: boolean;
  /** The protocol asked for, in lower case, such as `websocket`. `h2c` is passed over, as whoever does not speak it may. */
  readonly upgrade: string | undefined;
  readonly acceptsTrailers: boolean;
  /** Of the head on the wire, its last line end taken in. */
  readonly headBytes: number;
}

/** What comes before the body of a response. */
export interface ResponseHead {
  /** 100 to 599. */
  readonly status: number;
  /** As written; may be empty. */
  readonly reason: string;
  readonly version: '1.0' | '1.1';
  /** As of a request. */
  readonly fields: readonly Field[];
  readonly body: BodyLength;
  /** The Content-Length of an answer without its body: to HEAD, or 304. */
  readonly announcedBytes: number | undefined;
  readonly keepAlive: boolean;
  /** The protocol changed to, in lower case; of 101 only. */
  readonly upgrade: string | undefined;
  readonly headBytes: number;
}

/** The next piece of a body, a part of what was pushed and never empty; or its end. */
export type BodyEvent =
  | { readonly kind: 'data'; readonly bytes: Buffer }
  | { readonly kind: 'end'; readonly trailers: readonly Field[] };

/** What comes next of requests: of each a head, data, and an end. */
export type RequestEvent = { readonly kind: 'head'; readonly head: RequestHead } | BodyEvent;

/** What comes next of responses: of each interim ones, a head, data, and an end. */
export type ResponseEvent =
  | { readonly kind: 'informational'; readonly head: ResponseHead }
  | { readonly kind: 'head'; readonly head: ResponseHead }
  | BodyEvent;

/** No body, as one object for all. */
export const NO_BODY: BodyLength = { kind: 'none' };
export const CHUNKED_BODY: BodyLength = { kind: 'chunked' };
export const BODY_TO_CLOSE: BodyLength = { kind: 'close' };
