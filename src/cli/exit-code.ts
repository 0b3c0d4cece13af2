import { Code, codeName, RpcError } from '../rpc/index.ts';
import { codeOf } from '../std/index.ts';
import { exitCodes, UsageError } from './command.ts';

/** What a failed command says of its failure: the code that machines read, and the exit code. */
export interface Failure {
  readonly code: string;
  readonly exitCode: number;
}

/**
 * Sorts a failure: what the caller wrote is usage, what is not there or not allowed is no, what can't be reached is unavailable, what the
 * disk of a ledger did not do is io.
 */
export function failureOf(error: unknown): Failure {
  if (error instanceof UsageError) return { code: 'ERR_USAGE', exitCode: exitCodes.usage };
  if (error instanceof RpcError)
    return { code: codeName(error.code), exitCode: ofAnswer.get(error.code) ?? exitCodes.internal };
  const code = codeOf(error) ?? '';
  // Policies, like proofs, are what the command was asked to judge.
  if (code.startsWith('ERR_POLICY_')) return { code, exitCode: exitCodes.no };
  if (OF_CONFIG.test(code)) return { code, exitCode: exitCodes.config };
  return { code: code || 'ERR_INTERNAL', exitCode: ofCode.get(code) ?? exitCodes.internal };
}

const ofAnswer: ReadonlyMap<number, number> = new Map([
  [Code.INVALID_ARGUMENT, exitCodes.usage],
  [Code.NOT_FOUND, exitCodes.no],
  [Code.ALREADY_EXISTS, exitCodes.no],
  [Code.FAILED_PRECONDITION, exitCodes.no],
  [Code.PERMISSION_DENIED, exitCodes.no],
  [Code.UNAUTHENTICATED, exitCodes.no],
  [Code.UNAVAILABLE, exitCodes.unavailable],
  [Code.DEADLINE_EXCEEDED, exitCodes.unavailable],
]);
/** Names and identities are read from the command line; sockets and ledgers may be missing or closed to this user. */
const ofCode: ReadonlyMap<string, number> = new Map([
  ['ERR_SPIFFE_ID', exitCodes.usage],
  ['ERR_TRUST_DOMAIN', exitCodes.usage],
  ['ERR_LEDGER_NOT_FOUND', exitCodes.no],
  ['ERR_LEDGER_CORRUPT', exitCodes.no],
  ['ERR_LEDGER_PROOF_INVALID', exitCodes.no],
  ['ERR_LEDGER_IO', exitCodes.io],
  ['ECONNREFUSED', exitCodes.unavailable],
  ['ENOENT', exitCodes.unavailable],
  ['EACCES', exitCodes.unavailable],
]);
/** Codes of features about their section of the configuration, or about the folders and files that it names. */
const OF_CONFIG = /^ERR_(CONFIG_|PRIVATE_FILE_|[A-Z]+_(CONFIG|OPTIONS)$)/;
