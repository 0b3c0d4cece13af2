import { create, toBinary } from '@bufbuild/protobuf';
import {
  PermissionDeniedDetails_Reason,
  PermissionDeniedDetailsSchema,
} from '@countersign/sdk/contract/gen/spire/api/types/status_pb.ts';
import { IdentityError } from '@countersign/sdk/identity';
import { errorTable as approvalErrors } from '../approval/index.ts';
import { errorTable as attestationErrors } from '../attestation/index.ts';
import { errorTable as authorityErrors } from '../authority/index.ts';
import { errorTable as endpointErrors } from '../endpoint/index.ts';
import { errorTable as ledgerErrors } from '../ledger/index.ts';
import { errorTable as personsErrors } from '../persons/index.ts';
import { errorTable as questionsErrors } from '../questions/index.ts';
import { errorTable as recordsErrors } from '../records/index.ts';
import { errorTable as registrationErrors } from '../registration/index.ts';
import { errorTable as resourcesErrors } from '../resources/index.ts';
import { errorTable as revocationErrors } from '../revocation/index.ts';
import { Code, RpcError, type StatusCode } from '../rpc/index.ts';
import { errorTable as sessionsErrors } from '../sessions/index.ts';
import { codeOf, type ErrorEntry, type ErrorTable, type Log, messageOf } from '../std/index.ts';
import { errorTable as x509Errors } from '../wire/x509/index.ts';

/** Why an agent is refused: it acts on this, not on the text. */
export type AgentRefusal = 'expired' | 'not-attested' | 'not-active' | 'banned' | 'must-reattest';

/** The status of one item of a batch. */
export interface ItemStatus {
  readonly code: StatusCode;
  readonly message: string;
}

/**
 * The one place where failures become statuses. A failure whose table says that the caller is at fault is told to the caller; whatever
 * else is logged here and answered with a bare code: it is nobody's business outside.
 */
export function statusOf(error: unknown, log: Log, method: string): RpcError {
  if (error instanceof RpcError) return error;
  if (error instanceof IdentityError) return invalid(error.message);
  if (error instanceof DOMException) return new RpcError(DOM_CODES[error.name] ?? Code.INTERNAL, error.message);
  const code = codeOf(error) ?? '';
  if (code === 'ERR_ATTEST_BANNED') return agentRefused('banned');
  const known = entries.get(code)?.status;
  const status = known ?? (code.startsWith('ERR_STORE_') ? 503 : 500);
  const rpcCode = OF_CODE.get(code) ?? CODES.get(status) ?? Code.INTERNAL;
  if (rpcCode === Code.INTERNAL) {
    log.error('api.call.failed', { method, error });
    return new RpcError(rpcCode, 'internal error');
  }
  if (rpcCode === Code.UNAVAILABLE) {
    log.warn('api.call.unavailable', { method, error });
    return new RpcError(rpcCode, 'the server can not do this right now; try again');
  }
  return new RpcError(rpcCode, messageOf(error));
}

/** What the tables say of a failure that its caller is told of; undefined for what is nobody's business outside. */
export function toldEntry(error: unknown): { readonly code: string; readonly entry: ErrorEntry } | undefined {
  const code = codeOf(error) ?? '';
  const entry = entries.get(code);
  return entry === undefined || entry.status >= 500 ? undefined : { code, entry };
}

/** Whether the server can't do it right now, and may in a moment. */
export function isUnavailable(error: unknown): boolean {
  const code = codeOf(error) ?? '';
  return code.startsWith('ERR_STORE_') || entries.get(code)?.status === 503;
}

/** As {@link statusOf}, for one item of a batch. */
export function itemStatusOf(error: unknown, log: Log, method: string): ItemStatus {
  const { code, message } = statusOf(error, log, method);
  return { code, message };
}

export const OK_STATUS: ItemStatus = { code: Code.OK, message: 'OK' };

/** INVALID_ARGUMENT: the caller must change its request. */
export function invalid(message: string): RpcError {
  return new RpcError(Code.INVALID_ARGUMENT, message);
}

/** NOT_FOUND. */
export function notFound(message: string): RpcError {
  return new RpcError(Code.NOT_FOUND, message);
}

/** PERMISSION_DENIED for an agent, with the details that tell it what to do next. */
export function agentRefused(refusal: AgentRefusal): RpcError {
  const { reason, message } = REFUSALS[refusal];
  const value = toBinary(PermissionDeniedDetailsSchema, create(PermissionDeniedDetailsSchema, { reason }));
  const details = [{ typeName: PermissionDeniedDetailsSchema.typeName, value }];
  return new RpcError(Code.PERMISSION_DENIED, message, { details });
}

const REFUSALS: Readonly<Record<AgentRefusal, { reason: PermissionDeniedDetails_Reason; message: string }>> = {
  expired: { reason: PermissionDeniedDetails_Reason.AGENT_EXPIRED, message: "the agent's SVID has expired" },
  'not-attested': { reason: PermissionDeniedDetails_Reason.AGENT_NOT_ATTESTED, message: 'the agent is not attested' },
  'not-active': {
    reason: PermissionDeniedDetails_Reason.AGENT_NOT_ACTIVE,
    message: "the agent's SVID is not its current one",
  },
  banned: { reason: PermissionDeniedDetails_Reason.AGENT_BANNED, message: 'the agent is banned' },
  'must-reattest': {
    reason: PermissionDeniedDetails_Reason.AGENT_MUST_REATTEST,
    message: 'the agent renews by attesting again',
  },
};

/** HTTP status of an error table to gRPC status. Refused proofs are INVALID_ARGUMENT: on PERMISSION_DENIED an agent gives up for good. */
const CODES: ReadonlyMap<number, StatusCode> = new Map([
  [400, Code.INVALID_ARGUMENT],
  [403, Code.INVALID_ARGUMENT],
  [404, Code.NOT_FOUND],
  [409, Code.FAILED_PRECONDITION],
  [413, Code.RESOURCE_EXHAUSTED],
  [429, Code.RESOURCE_EXHAUSTED],
  [503, Code.UNAVAILABLE],
]);

/** Of which gateways have to tell one from another. */
const OF_CODE: ReadonlyMap<string, StatusCode> = new Map([
  ['ERR_APPROVAL_HOLD', Code.ALREADY_EXISTS],
  ['ERR_APPROVAL_SPENT', Code.ABORTED],
]);

/** What an aborted signal of ours rejects with. */
const DOM_CODES: Readonly<Record<string, StatusCode>> = {
  AbortError: Code.CANCELLED,
  TimeoutError: Code.DEADLINE_EXCEEDED,
};

const tables: readonly ErrorTable[] = [
  approvalErrors,
  attestationErrors,
  authorityErrors,
  endpointErrors,
  ledgerErrors,
  personsErrors,
  questionsErrors,
  recordsErrors,
  registrationErrors,
  resourcesErrors,
  revocationErrors,
  sessionsErrors,
  x509Errors,
];
const entries: ReadonlyMap<string, ErrorEntry> = new Map(tables.flatMap((table) => Object.entries(table)));
