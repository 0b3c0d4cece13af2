import { GrpcWireError } from './errors.ts';

/**
 * Parses a `grpc-timeout` header into milliseconds, rounded up so that a deadline is never early.
 * @throws GrpcWireError ERR_GRPC_TIMEOUT
 * @see gRPC over HTTP/2, "Timeout"
 */
export function parseTimeoutMs(text: string): number {
  const digits = text.slice(0, -1);
  const unit = UNITS.get(text.slice(-1));
  if (unit === undefined || !/^[0-9]{1,8}$/.test(digits)) {
    throw new GrpcWireError('ERR_GRPC_TIMEOUT', 'a grpc-timeout has 1 to 8 digits and one unit of H, M, S, m, u, n');
  }
  return Math.ceil((Number(digits) * unit.multiplier) / unit.divisor);
}

/** The `grpc-timeout` header for `timeoutMs` (≥ 0), in the finest unit that fits, rounded up. */
export function formatTimeout(timeoutMs: number): string {
  for (const [letter, { multiplier, divisor }] of UNITS) {
    const count = Math.ceil((Math.max(0, timeoutMs) * divisor) / multiplier);
    if (divisor === 1 && count <= COUNT_MAX) return `${count}${letter}`;
  }
  return `${COUNT_MAX}H`;
}

/** Finest first. Milliseconds = count × multiplier ÷ divisor: whole numbers, so nothing is lost to binary fractions. */
const UNITS: ReadonlyMap<string, { multiplier: number; divisor: number }> = new Map([
  ['n', { multiplier: 1, divisor: 1_000_000 }],
  ['u', { multiplier: 1, divisor: 1000 }],
  ['m', { multiplier: 1, divisor: 1 }],
  ['S', { multiplier: 1000, divisor: 1 }],
  ['M', { multiplier: 60_000, divisor: 1 }],
  ['H', { multiplier: 3_600_000, divisor: 1 }],
]);
const COUNT_MAX = 99_999_999;
