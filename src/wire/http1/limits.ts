/** What one message may cost. */
export interface Http1Limits {
  /** Of a head, all line ends taken in; 431 beyond. */
  readonly headBytesMax: number;
  /** Of a head, or of trailers; 431 beyond. */
  readonly fieldsMax: number;
  /** Of a request's target as written; 414 beyond. */
  readonly targetBytesMax: number;
  /** Of the chunk extensions of one message. */
  readonly extensionBytesMax: number;
  /** Of the trailers of one message; 431 beyond. */
  readonly trailerBytesMax: number;
  /** Interim responses before one response. */
  readonly informationalMax: number;
  /** Takes bytes 0x80-0xFF in values, each as one character: RFC 9110 §5.5 calls them obs-text, and readers differ in what they make of them. */
  readonly allowObsText: boolean;
}

/** All limits, the ordinary one where none is given. */
export function limitsOf(given: Partial<Http1Limits> = {}): Http1Limits {
  return { ...ORDINARY, ...given };
}

const ORDINARY: Http1Limits = {
  headBytesMax: 32 * 1024,
  fieldsMax: 100,
  targetBytesMax: 16 * 1024,
  extensionBytesMax: 256,
  trailerBytesMax: 8 * 1024,
  informationalMax: 8,
  allowObsText: false,
};
