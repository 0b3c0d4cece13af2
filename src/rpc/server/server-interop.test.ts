import { create, type DescMethod, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
} from '@countersign/sdk/contract/gen/grpc/health/v1/health_pb.ts';
import {
  SpiffeWorkloadAPI,
  X509BundlesRequestSchema,
  type X509BundlesResponse,
} from '@countersign/sdk/contract/gen/spiffe/workload/workload_pb.ts';
import {
  Entry,
  SyncAuthorizedEntriesRequestSchema,
  type SyncAuthorizedEntriesResponse,
} from '@countersign/sdk/contract/gen/spire/api/server/entry/v1/entry_pb.ts';
import * as grpc from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, createSilentLog, type ManualClock } from '../../std/index.ts';
import { decodeStatusDetails } from '../../wire/grpc/index.ts';
import { createRpcServer, pathOf, type RpcServer } from '../index.ts';
import { echoServices, type Seen } from '../testing/echo-service.ts';
import { createTestAuthority, temporaryFolder, uriOf } from '../testing/fixtures.ts';

// Goal: a client written by others (grpc-js) can do every kind of call with our server, over both kinds of socket.

const authority = createTestAuthority('test');
const serverIdentity = authority.issue('spiffe://test/spire/server');
const clientIdentity = authority.issue('spiffe://test/client');

describe.each(['unix', 'tls'] as const)('a grpc-js client over %s', (transport) => {
  let folder: ReturnType<typeof temporaryFolder>;
  let clock: ManualClock;
  let server: RpcServer;
  let client: grpc.Client;
  let seen: Seen;

  beforeEach(async () => {
    folder = temporaryFolder();
    clock = createManualClock(0);
    seen = { contexts: [], aborted: [] };
    server = createRpcServer({
      clock,
      log: createSilentLog(),
      services: echoServices(seen),
      listen:
        transport === 'unix'
          ? { unix: `${folder.path}/s.sock` }
          : { host: '127.0.0.1', port: 0, tls: () => serverIdentity },
    });
    await server.start(new AbortController().signal);
    client = connect();
  });

  const connect = (options: grpc.ChannelOptions = {}) => {
    const address = server.address();
    if ('unix' in address) return new grpc.Client(`unix:${address.unix}`, grpc.credentials.createInsecure(), options);
    const { keyPem, certPem } = clientIdentity;
    const credentials = grpc.credentials.createSsl(authority.pem, keyPem, certPem);
    return new grpc.Client(`localhost:${address.port}`, credentials, options);
  };

  afterEach(async () => {
    client.close();
    const stopped = server.stop();
    await clock.advance(60_000);
    await stopped;
    folder.remove();
  });

  it('gets the answer of a unary call', async () => {
    expect(await unary(client, Health.method.check, { service: '' })).toMatchObject({ status: 1 });
  });

  it('is seen by the handler with its metadata and its connection', async () => {
    const metadata = new grpc.Metadata();
    metadata.add('workload.spiffe.io', 'true');
    metadata.add('twice', 'a');
    metadata.add('twice', 'b');
    await unary(client, Health.method.check, { service: '' }, { metadata });
    const [context] = seen.contexts;
    expect(context?.metadata.get('workload.spiffe.io')).toEqual(['true']);
    expect(context?.metadata.get('twice')?.join(',').replaceAll(' ', '')).toBe('a,b');
    expect(context?.method).toBe('/grpc.health.v1.Health/Check');
    expect(context?.peer.kind).toBe(transport === 'unix' ? 'local' : 'tls');
    if (context?.peer.kind === 'tls') expect(uriOf(context.peer.chainDer[0])).toBe('spiffe://test/client');
  });

  it('gets code, message in any script, and details of a refusal', async () => {
    const error = await unary(client, Health.method.check, { service: 'denied' }).catch((e: grpc.ServiceError) => e);
    expect(error).toMatchObject({ code: grpc.status.PERMISSION_DENIED, details: 'non è permesso: 100%\n' });
    const [trailer] = (error as grpc.ServiceError).metadata.get('grpc-status-details-bin');
    const [detail] = decodeStatusDetails(7, Buffer.from(trailer as Buffer).toString('base64'));
    expect(detail?.typeName).toBe('spire.api.types.PermissionDeniedDetails');
    expect([...(detail?.value ?? [])]).toEqual([8, 4]);
  });

  it('learns nothing of what broke inside', async () => {
    const call = unary(client, Health.method.check, { service: 'bug' });
    await expect(call).rejects.toMatchObject({ code: grpc.status.INTERNAL, details: 'internal error' });
  });

  it('is told of methods that do not exist', async () => {
    const call = unary(client, SpiffeWorkloadAPI.method.fetchWITSVID, {});
    await expect(call).rejects.toMatchObject({ code: grpc.status.UNIMPLEMENTED });
  });

  it('gets the messages of a stream one by one, and the handler learns of its cancellation', async () => {
    const stream = client.makeServerStreamRequest(
      pathOf(SpiffeWorkloadAPI.method.fetchX509Bundles),
      (request: Uint8Array) => Buffer.from(request),
      (bytes): X509BundlesResponse => fromBinary(SpiffeWorkloadAPI.method.fetchX509Bundles.output, bytes),
      toBinary(X509BundlesRequestSchema, create(X509BundlesRequestSchema)),
    );
    const sizes: (number | undefined)[] = [];
    stream.on('error', () => {});
    for await (const message of stream as AsyncIterable<X509BundlesResponse>) {
      sizes.push(message.bundles['spiffe://test']?.length);
      if (sizes.length === 2) break;
    }
    expect(sizes).toEqual([1, 2]);
    stream.cancel();
    await expect.poll(() => seen.aborted.length).toBe(1);
    expect(seen.aborted[0]?.code).toBe(grpc.status.CANCELLED);
  });

  it('talks both ways at once, and a status ends the call from the server', async () => {
    const call = client.makeBidiStreamRequest(
      pathOf(Entry.method.syncAuthorizedEntries),
      (ids: string[]) =>
        Buffer.from(toBinary(SyncAuthorizedEntriesRequestSchema, create(SyncAuthorizedEntriesRequestSchema, { ids }))),
      (bytes): SyncAuthorizedEntriesResponse => fromBinary(Entry.method.syncAuthorizedEntries.output, bytes),
    );
    const answers: string[] = [];
    const status = new Promise<grpc.StatusObject>((resolve) => call.on('status', resolve));
    call.on('error', () => {});
    call.on('data', (answer: SyncAuthorizedEntriesResponse) => {
      answers.push(answer.entryRevisions.map(({ id }) => id).join());
      call.write(answers.length === 1 ? ['b', 'c'] : ['stop']);
    });
    call.write(['a']);
    expect(await status).toMatchObject({ code: grpc.status.ABORTED, details: 'told to stop' });
    expect(answers).toEqual(['a', 'b,c']);
  });

  it('ends a call both ways by closing its own side', async () => {
    const call = client.makeBidiStreamRequest(
      pathOf(Entry.method.syncAuthorizedEntries),
      (ids: string[]) =>
        Buffer.from(toBinary(SyncAuthorizedEntriesRequestSchema, create(SyncAuthorizedEntriesRequestSchema, { ids }))),
      (bytes): SyncAuthorizedEntriesResponse => fromBinary(Entry.method.syncAuthorizedEntries.output, bytes),
    );
    const status = new Promise<grpc.StatusObject>((resolve) => call.on('status', resolve));
    call.on('data', () => call.end());
    call.write(['a']);
    expect(await status).toMatchObject({ code: grpc.status.OK });
  });

  it('has its deadline kept by the server', async () => {
    const deadline = new Date();
    deadline.setSeconds(deadline.getSeconds() + 20);
    const call = unary(client, Health.method.check, { service: 'forever' }, { deadline }).catch((e: unknown) => e);
    await expect.poll(() => seen.contexts.length).toBe(1);
    await clock.advance(21_000);
    expect(await call).toMatchObject({ code: grpc.status.DEADLINE_EXCEEDED });
    expect(seen.aborted[0]?.code).toBe(grpc.status.DEADLINE_EXCEEDED);
  });

  it('is refused by name when it compresses what nobody offered to read', async () => {
    const gzip = { 'grpc.default_compression_algorithm': grpc.compressionAlgorithms.gzip };
    const compressing = connect(gzip);
    const call = unary(compressing, Health.method.check, { service: 'x'.repeat(2000) });
    await expect(call).rejects.toMatchObject({ code: grpc.status.UNIMPLEMENTED });
    compressing.close();
  });

  it('can not send more than a message may hold', async () => {
    const call = unary(client, Health.method.check, { service: 'x'.repeat(5_000_000) });
    await expect(call).rejects.toMatchObject({ code: grpc.status.RESOURCE_EXHAUSTED });
  });
});

function unary(
  client: grpc.Client,
  method: DescMethod,
  request: { service?: string },
  options: { metadata?: grpc.Metadata; deadline?: Date } = {},
): Promise<unknown> {
  const bytes = toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, request));
  const callOptions = options.deadline === undefined ? {} : { deadline: options.deadline };
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      pathOf(method),
      (message: Uint8Array) => Buffer.from(message),
      (answer) => fromBinary(HealthCheckResponseSchema, answer),
      bytes,
      options.metadata ?? new grpc.Metadata(),
      callOptions,
      (error, answer) => (error === null ? resolve(answer) : reject(error)),
    );
  });
}
