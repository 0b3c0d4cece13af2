import { fromBinary } from '@bufbuild/protobuf';
import {
  PermissionDeniedDetailsSchema,
  PermissionDeniedDetails_Reason as Reason,
} from '@countersign/sdk/contract/gen/spire/api/types/status_pb.ts';
import { Code, RpcError } from '../../rpc/index.ts';
import { codeOf } from '../../std/index.ts';

/** What a failed call to the server asks of the agent. */
export type NodeRefusal =
  /** Nothing is said about the node: try again later. */
  | 'retry'
  /** The node's identity is not accepted (any more): prove the node anew. */
  | 'reattest'
  /** The server takes the node's identity for expired: prove the node anew, unless it is not, by this machine's clock. */
  | 'expired'
  /** The node was banned: stop. */
  | 'banned';

/**
 * Judges what a call failed with. Only the status details of PERMISSION_DENIED speak about the node; the bare code may come from
 * anything on the way, so it never makes the agent throw its identity away.
 */
export function judgeRefusal(error: unknown): NodeRefusal {
  if (!(error instanceof RpcError) || error.code !== Code.PERMISSION_DENIED) return 'retry';
  for (const detail of error.details) {
    if (detail.typeName !== PermissionDeniedDetailsSchema.typeName) continue;
    switch (reasonOf(detail.value)) {
      case Reason.AGENT_BANNED:
        return 'banned';
      case Reason.AGENT_EXPIRED:
        return 'expired';
      case Reason.AGENT_NOT_ACTIVE:
      case Reason.AGENT_NOT_ATTESTED:
      case Reason.AGENT_MUST_REATTEST:
        return 'reattest';
      default:
        return 'retry';
    }
  }
  return 'retry';
}

/**
 * True when nothing answered at the server's address, so that a connection which opens means that it may be back. A server that
 * answers and refuses, or is not the one it should be, is there already; so is one that resets connections because too many come at once.
 */
export function isUnreachable(error: unknown): boolean {
  if (!(error instanceof RpcError) || error.code !== Code.UNAVAILABLE) return false;
  return UNREACHABLE_CODES.has(codeOf(error.cause) ?? '');
}

function reasonOf(bytes: Uint8Array): number {
  try {
    return fromBinary(PermissionDeniedDetailsSchema, bytes).reason;
  } catch {
    return Reason.UNKNOWN; // A detail that can't be read says nothing, and nothing means: retry.
  }
}

const UNREACHABLE_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
]);
