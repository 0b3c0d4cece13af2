/** The status codes of gRPC. @see gRPC "Status codes and their use" */
export const Code = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** One of the values of {@link Code}. */
export type StatusCode = (typeof Code)[keyof typeof Code];

/** The name of a status code: 5 → `NOT_FOUND`. */
export function codeName(code: StatusCode): string {
  return NAMES[code] ?? 'UNKNOWN';
}

/** A number off the wire as a status code; numbers that gRPC does not define count as UNKNOWN. */
export function parseCode(value: number): StatusCode {
  // Checked against the table on this line, which the compiler can't see.
  return NAMES[value] === undefined ? Code.UNKNOWN : (value as StatusCode);
}

const NAMES: readonly string[] = Object.keys(Code);
