import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
} from '@countersign/sdk/contract/gen/grpc/health/v1/health_pb.ts';
import {
  SpiffeWorkloadAPI,
  X509BundlesRequestSchema,
  X509BundlesResponseSchema,
} from '@countersign/sdk/contract/gen/spiffe/workload/workload_pb.ts';
import {
  Entry,
  type SyncAuthorizedEntriesRequest,
  SyncAuthorizedEntriesRequestSchema,
  SyncAuthorizedEntriesResponseSchema,
} from '@countersign/sdk/contract/gen/spire/api/server/entry/v1/entry_pb.ts';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createManualClock, createSilentLog } from '../../std/index.ts';
import { type CallOptions, Code, createRpcClient, pathOf, type RpcClient, RpcError } from '../index.ts';
import { bundleOf } from '../testing/echo-service.ts';
import { createTestAuthority, temporaryFolder, uriOf } from '../testing/fixtures.ts';

// Goal: our client can do every kind of call with a server written by others (grpc-js), over both kinds of socket.

const authority = createTestAuthority('test');
const serverIdentity = authority.issue('spiffe://test/spire/server');
const clientIdentity = authority.issue('spiffe://test/client');

describe.each(['unix', 'tls'] as const)('a grpc-js server over %s', (transport) => {
  const folder = temporaryFolder();
  const clock = createManualClock(0);
  const server = new grpc.Server();
  let client: RpcClient;
  let port: number;
  const seen = { cancelled: 0, metadata: [] as grpc.Metadata[] };

  beforeAll(async () => {
    addServices(server, seen);
    const [address, credentials] =
      transport === 'unix'
        ? [`unix:${folder.path}/s.sock`, grpc.ServerCredentials.createInsecure()]
        : [
            'localhost:0',
            grpc.ServerCredentials.createSsl(
              authority.pem,
              [{ cert_chain: serverIdentity.certPem, private_key: serverIdentity.keyPem }],
              true,
            ),
          ];
    port = await new Promise<number>((resolve, reject) =>
      server.bindAsync(address, credentials, (error, bound) => (error === null ? resolve(bound) : reject(error))),
    );
    client = connect(() => {});
  });

  afterAll(async () => {
    await client.close();
    server.forceShutdown();
    folder.remove();
  });

  const connect = (verifyPeer: (chain: readonly Buffer[]) => void) =>
    createRpcClient({
      clock,
      log: createSilentLog(),
      connect:
        transport === 'unix'
          ? { unix: `${folder.path}/s.sock` }
          : { host: 'localhost', port, tls: { verifyPeer, identity: () => clientIdentity } },
    });

  it('answers a unary call', async () => {
    const answer = await client.unary(Health.method.check, { service: '' }, options());
    expect(answer.status).toBe(1);
  });

  it('sees metadata and deadline', async () => {
    const metadata = { 'workload.spiffe.io': 'true' };
    await client.unary(Health.method.check, { service: '' }, options({ metadata, timeoutMs: 5000 }));
    expect(seen.metadata.at(-1)?.get('workload.spiffe.io')).toEqual(['true']);
  });

  it('refuses with code, message and details', async () => {
    const error = await client.unary(Health.method.check, { service: 'denied' }, options()).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(RpcError);
    expect(error).toMatchObject({ code: Code.PERMISSION_DENIED, message: 'non è permesso: 100%\n' });
    const [detail] = (error as RpcError).details;
    expect(detail?.typeName).toBe('spire.api.types.PermissionDeniedDetails');
    expect([...(detail?.value ?? [])]).toEqual([8, 4]);
  });

  it('streams, and learns that nobody wants more', async () => {
    const before = seen.cancelled;
    const sizes: (number | undefined)[] = [];
    for await (const message of client.serverStream(SpiffeWorkloadAPI.method.fetchX509Bundles, {}, options())) {
      sizes.push(message.bundles['spiffe://test']?.length);
      if (sizes.length === 2) break;
    }
    expect(sizes).toEqual([1, 2]);
    await expect.poll(() => seen.cancelled).toBe(before + 1);
  });

  it('talks both ways', async () => {
    const call = client.bidi(Entry.method.syncAuthorizedEntries, options());
    await call.send({ ids: ['a'] });
    const answers: string[] = [];
    for await (const answer of call.responses) {
      answers.push(answer.entryRevisions.map(({ id }) => id).join());
      if (answers.length === 1) await call.send({ ids: ['b', 'c'] });
      else call.end();
    }
    expect(answers).toEqual(['a', 'b,c']);
  });

  it('is cancelled by a signal, and by the deadline', async () => {
    const controller = new AbortController();
    const cancelled = client.unary(Health.method.check, { service: 'forever' }, { signal: controller.signal });
    setImmediate(() => controller.abort());
    await expect(cancelled).rejects.toMatchObject({ code: Code.CANCELLED });
    const late = client.unary(Health.method.check, { service: 'forever' }, options({ timeoutMs: 60_000 }));
    late.catch(() => {});
    await expect.poll(() => clock.pending()).toBeGreaterThan(0);
    await clock.advance(61_000);
    await expect(late).rejects.toMatchObject({ code: Code.DEADLINE_EXCEEDED });
  });

  it.runIf(transport === 'tls')('is sent nothing before it has proved who it is', async () => {
    const chains: (string | undefined)[] = [];
    const doubtful = connect((chain) => {
      chains.push(uriOf(chain[0]));
      throw new Error('not the expected identity');
    });
    const calls = seen.metadata.length;
    const call = doubtful.unary(Health.method.check, { service: '' }, options());
    await expect(call).rejects.toMatchObject({ code: Code.UNAVAILABLE, message: /not the expected identity/ });
    expect(chains).toEqual(['spiffe://test/spire/server']);
    expect(seen.metadata.length).toBe(calls);
    await doubtful.close();
  });
});

function addServices(server: grpc.Server, seen: { cancelled: number; metadata: grpc.Metadata[] }): void {
  const check: grpc.handleUnaryCall<{ service: string }, { status: number }> = (call, answer) => {
    seen.metadata.push(call.metadata);
    if (call.request.service === 'forever') return;
    if (call.request.service !== 'denied') return answer(null, { status: 1 });
    const metadata = new grpc.Metadata();
    // google.rpc.Status { code: 7, details: [{ type_url: …PermissionDeniedDetails, value: 08 04 }] } by hand.
    const url = Buffer.from('type.googleapis.com/spire.api.types.PermissionDeniedDetails');
    const any = Buffer.concat([Buffer.from([0x0a, url.length]), url, Buffer.from([0x12, 2, 8, 4])]);
    metadata.set('grpc-status-details-bin', Buffer.concat([Buffer.from([0x08, 7, 0x1a, any.length]), any]));
    answer({ code: grpc.status.PERMISSION_DENIED, details: 'non è permesso: 100%\n', metadata });
  };
  const watch: grpc.handleServerStreamingCall<object, object> = (call) => {
    call.on('cancelled', () => {
      seen.cancelled++;
    });
    call.write(bundleOf(1));
    call.write(bundleOf(2));
  };
  const sync: grpc.handleBidiStreamingCall<SyncAuthorizedEntriesRequest, object> = (call) => {
    call.on('data', ({ ids }: SyncAuthorizedEntriesRequest) =>
      call.write({ entryRevisions: ids.map((id) => ({ id })) }),
    );
    call.on('end', () => call.end());
  };
  const codec = { requestStream: false, responseStream: false };
  server.addService(
    {
      check: {
        ...codec,
        path: pathOf(Health.method.check),
        requestDeserialize: (bytes: Buffer) => fromBinary(HealthCheckRequestSchema, bytes),
        requestSerialize: (message) => Buffer.from(toBinary(HealthCheckRequestSchema, message)),
        responseDeserialize: (bytes: Buffer) => fromBinary(HealthCheckResponseSchema, bytes),
        responseSerialize: (message) =>
          Buffer.from(toBinary(HealthCheckResponseSchema, create(HealthCheckResponseSchema, message))),
      },
      watch: {
        ...codec,
        responseStream: true,
        path: pathOf(SpiffeWorkloadAPI.method.fetchX509Bundles),
        requestDeserialize: (bytes: Buffer) => fromBinary(X509BundlesRequestSchema, bytes),
        requestSerialize: (message) => Buffer.from(toBinary(X509BundlesRequestSchema, message)),
        responseDeserialize: (bytes: Buffer) => fromBinary(X509BundlesResponseSchema, bytes),
        responseSerialize: (message) => Buffer.from(toBinary(X509BundlesResponseSchema, message)),
      },
      sync: {
        requestStream: true,
        responseStream: true,
        path: pathOf(Entry.method.syncAuthorizedEntries),
        requestDeserialize: (bytes: Buffer) => fromBinary(SyncAuthorizedEntriesRequestSchema, bytes),
        requestSerialize: (message) => Buffer.from(toBinary(SyncAuthorizedEntriesRequestSchema, message)),
        responseDeserialize: (bytes: Buffer) => fromBinary(SyncAuthorizedEntriesResponseSchema, bytes),
        responseSerialize: (message) =>
          Buffer.from(
            toBinary(SyncAuthorizedEntriesResponseSchema, create(SyncAuthorizedEntriesResponseSchema, message)),
          ),
      },
    },
    { check, watch, sync },
  );
}

function options(more: Partial<CallOptions> = {}): CallOptions {
  return { signal: new AbortController().signal, ...more };
}
