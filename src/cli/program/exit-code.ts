import { ApiProblem } from '@countersign/sdk/client';
import { IdentityError } from '@countersign/sdk/identity';
import { Code, codeName, RpcError } from '../../rpc/index.ts';
import { CodedError, codeOf, type ErrorExit } from '../../std/index.ts';
import { exitCodes, UsageError } from '../command.ts';

/** What a failed command says of its failure: the code that machines read, and the exit code. */
export interface Failure {
  readonly code: string;
  readonly exitCode: number;
}

/**
 * Sorts a failure. What has a code of ours ends as the table of its feature says; the rest is what the caller typed, what a server answered,
 * and what the system says of a file or socket that was named.
 */
export function failureOf(error: unknown): Failure {
  if (error instanceof UsageError) return { code: codeOf(error) ?? 'ERR_USAGE', exitCode: exitCodes.usage };
  if (error instanceof RpcError) return { code: codeName(error.code), exitCode: exitCodes[answers[error.code]] };
  if (error instanceof ApiProblem)
    return { code: error.code === '' ? 'ERR_API' : error.code, exitCode: exitCodes[exitOfStatus(error.status)] };
  if (error instanceof CodedError) return { code: error.code, exitCode: exitCodes[error.entry.exit] };
  const code = codeOf(error) ?? 'ERR_INTERNAL';
  // Names and identities are read from the command line; those of a configuration file were checked with it.
  if (error instanceof IdentityError) return { code, exitCode: exitCodes.usage };
  return { code, exitCode: exitCodes[isSystemError(error) ? exitOfSystem(error, code) : 'internal'] };
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}

function exitOfSystem(error: NodeJS.ErrnoException, code: string): ErrorExit {
  if (error.syscall === 'connect') return 'unavailable';
  if (DISK_FAULTS.has(code)) return 'io';
  return error.path === undefined ? 'internal' : 'usage';
}

/** As the same is told by gRPC. */
function exitOfStatus(status: number): ErrorExit {
  if (status === 429 || status === 408 || status === 503) return 'unavailable';
  if (status >= 500) return 'internal';
  return [400, 405, 413, 415].includes(status) ? 'usage' : 'no';
}

/** A call that the server refused is a no; one that it could not do may be tried again. */
const answers: Readonly<Record<RpcError['code'], ErrorExit>> = {
  [Code.OK]: 'internal',
  [Code.CANCELLED]: 'unavailable',
  [Code.UNKNOWN]: 'internal',
  [Code.INVALID_ARGUMENT]: 'usage',
  [Code.DEADLINE_EXCEEDED]: 'unavailable',
  [Code.NOT_FOUND]: 'no',
  [Code.ALREADY_EXISTS]: 'no',
  [Code.PERMISSION_DENIED]: 'no',
  [Code.RESOURCE_EXHAUSTED]: 'no',
  [Code.FAILED_PRECONDITION]: 'no',
  [Code.ABORTED]: 'unavailable',
  [Code.OUT_OF_RANGE]: 'usage',
  [Code.UNIMPLEMENTED]: 'unavailable',
  [Code.INTERNAL]: 'internal',
  [Code.UNAVAILABLE]: 'unavailable',
  [Code.DATA_LOSS]: 'internal',
  [Code.UNAUTHENTICATED]: 'no',
};
/** What the disk did, whatever file was named. */
const DISK_FAULTS: ReadonlySet<string> = new Set(['EIO', 'ENOSPC', 'EDQUOT', 'EROFS', 'EMFILE', 'ENFILE']);
