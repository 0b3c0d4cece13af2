import { create } from '@bufbuild/protobuf';
import { Health, HealthCheckResponse_ServingStatus } from '@countersign/sdk/contract/gen/grpc/health/v1/health_pb.ts';
import {
  SpiffeWorkloadAPI,
  type X509BundlesResponse,
  X509BundlesResponseSchema,
} from '@countersign/sdk/contract/gen/spiffe/workload/workload_pb.ts';
import { Entry } from '@countersign/sdk/contract/gen/spire/api/server/entry/v1/entry_pb.ts';
import { type CallContext, Code, implement, RpcError, type RpcService } from '../index.ts';

/** What a test wants to know of the calls that were served. */
export interface Seen {
  readonly contexts: CallContext[];
  /** Calls that never end by themselves and have been told to. */
  readonly aborted: RpcError[];
}

/**
 * One method of each kind, driven by its request: Health.Check (unary) answers SERVING, or fails as `service` says; FetchX509Bundles
 * sends two messages and waits; Entry.SyncAuthorizedEntries (both ways) answers each request with its ids.
 */
export function echoServices(seen: Seen): RpcService[] {
  const untilAborted = (context: CallContext) =>
    new Promise<never>((_, reject) => {
      const end = (signal: AbortSignal) => () => {
        seen.aborted.push(signal.reason as RpcError); // The door promises that the reason is one.
        reject(signal.reason);
      };
      if (context.signal.aborted) end(context.signal)();
      context.signal.addEventListener('abort', end(context.signal), { once: true });
      context.draining.addEventListener('abort', end(context.draining), { once: true });
    });
  const health = implement(Health, {
    async check(request, context) {
      seen.contexts.push(context);
      switch (request.service) {
        case 'denied':
          throw new RpcError(Code.PERMISSION_DENIED, 'non è permesso: 100%\n', {
            details: [{ typeName: 'spire.api.types.PermissionDeniedDetails', value: new Uint8Array([8, 4]) }],
          });
        case 'bug':
          throw new Error('a secret of the implementation');
        case 'forever':
          return untilAborted(context);
        default:
          return { status: HealthCheckResponse_ServingStatus.SERVING };
      }
    },
  });
  const workload = implement(SpiffeWorkloadAPI, {
    async fetchX509Bundles(_request, context, send) {
      seen.contexts.push(context);
      await send(bundleOf(1));
      await send(bundleOf(2));
      await untilAborted(context);
    },
  });
  const entry = implement(Entry, {
    async syncAuthorizedEntries(requests, context, send) {
      seen.contexts.push(context);
      for await (const request of requests) {
        if (request.ids.includes('stop')) throw new RpcError(Code.ABORTED, 'told to stop');
        if (request.ids.includes('return')) return;
        await send({ entryRevisions: request.ids.map((id) => ({ id })), more: false });
      }
    },
  });
  return [health, workload, entry];
}

export function bundleOf(count: number): X509BundlesResponse {
  return create(X509BundlesResponseSchema, { bundles: { 'spiffe://test': Buffer.alloc(count, count) } });
}
