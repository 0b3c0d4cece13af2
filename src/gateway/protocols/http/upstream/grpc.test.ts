/** Calls of gRPC through the gateway, by its usual client and server: what each kind of call promises holds, and what is refused is said in its words. */
import * as http2 from 'node:http2';
import * as tls from 'node:tls';
import {
  type Client,
  Metadata,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceError,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import { encodePem } from '../../../../wire/x509/index.ts';
import { createTestAuthority } from '../../../testing/test-authority.ts';
import { clientOver, methods, startGrpc } from '../testing/grpc-peers.ts';
import {
  allowed,
  CREDENTIAL,
  denied,
  type HttpBed,
  type HttpBedOptions,
  openHttp,
  settled,
} from '../testing/harness.ts';

type Unary = ServerUnaryCall<Buffer, Buffer>;
let bed: HttpBed;
let client: Client;
let stop: () => void;
let seen: { metadata: Metadata; cancelled: number; written: number };
afterEach(async () => {
  client?.close();
  await bed?.close();
  stop?.();
});

const handlers = {
  ask(call: Unary, done: sendUnaryData<Buffer>) {
    seen.metadata = call.metadata;
    call.on('cancelled', () => seen.cancelled++);
    const text = call.request.toString();
    if (text === 'never') return;
    const echoed = call.metadata.get('authorization')[0];
    const trailers = new Metadata();
    trailers.set('x-left', '7');
    trailers.set('x-blob-bin', Buffer.from([1, 2, 255]));
    if (text === 'echo' && echoed !== undefined) trailers.set('x-echo', echoed);
    if (text === 'fail') return done({ code: status.NOT_FOUND, details: 'no such thing: ü%', metadata: trailers });
    const head = new Metadata();
    head.set('x-first', '1');
    call.sendMetadata(head);
    done(null, call.request, trailers);
  },
  list(call: ServerWritableStream<Buffer, Buffer>) {
    call.on('cancelled', () => seen.cancelled++);
    const count = Number(call.request.toString());
    let at = 0;
    const more = () => {
      while (at < count) {
        seen.written++;
        if (!call.write(Buffer.alloc(10_000, ++at % 251))) return void call.once('drain', more);
      }
      if (count > 0) call.end();
      else call.write(Buffer.from('first'));
    };
    more();
  },
  put(call: ServerReadableStream<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
    let bytes = 0;
    call.on('data', (piece: Buffer) => {
      bytes += piece.length;
      if (piece.toString() === 'enough') done({ code: status.OUT_OF_RANGE, details: 'enough' });
    });
    call.on('end', () => done(null, Buffer.from(String(bytes))));
  },
  talk(call: ServerDuplexStream<Buffer, Buffer>) {
    call.on('cancelled', () => seen.cancelled++);
    call.on('data', (piece: Buffer) => call.write(Buffer.concat([Buffer.from('re: '), piece])));
    call.on('end', () => call.end());
  },
} as const satisfies UntypedServiceImplementation;

async function open(options: HttpBedOptions = {}, clientOptions: Record<string, number | string> = {}): Promise<void> {
  seen = { metadata: new Metadata(), cancelled: 0, written: 0 };
  const server = await startGrpc(handlers);
  stop = server.stop;
  bed = await openHttp({
    ...options,
    config: { url: `http://127.0.0.1:${server.port}`, upstreamHttp2: true, ...options.config },
  });
  client = await clientOver(bed.client, clientOptions);
}
interface Answered {
  readonly error: ServiceError | null;
  readonly text: string | undefined;
  readonly trailers: Metadata;
  readonly head: Metadata;
}
function ask(text: string, { metadata = new Metadata(), deadlineMs = 60_000 } = {}): Promise<Answered> {
  const { path, requestSerialize, responseDeserialize } = methods.ask;
  return new Promise((resolve) => {
    let [head, trailers, result]: [
      Metadata,
      Metadata,
      { error: ServiceError | null; text: string | undefined } | undefined,
    ] = [new Metadata(), new Metadata(), undefined];
    let hasStatus = false;
    const settle = () => {
      if (hasStatus && result !== undefined) resolve({ ...result, head, trailers });
    };
    const deadline = Date.now() + deadlineMs;
    client
      .makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        Buffer.from(text),
        metadata,
        { deadline },
        (error, answer) => {
          result = { error, text: answer?.toString() };
          settle();
        },
      )
      .on('metadata', (more) => {
        head = more;
      })
      .on('status', (ended) => {
        trailers = ended.metadata;
        hasStatus = true;
        settle();
      });
  });
}
const bugs = () => bed.logged.filter((line) => line.includes('session_bug'));
const outcomes = () => bed.ledger.events.filter(({ kind }) => kind === 'outcome');

describe('a call', () => {
  it('is answered with its metadata before and behind', async () => {
    await open();
    const { error, text, head, trailers } = await ask('hello');
    expect([error, text]).toEqual([null, 'hello']);
    expect(head.get('x-first')).toEqual(['1']);
    expect(trailers.get('x-left')).toEqual(['7']);
    expect(trailers.get('x-blob-bin')).toEqual([Buffer.from([1, 2, 255])]);
    expect(bed.asked[0]?.context).toMatchObject({ method: 'POST', path: '/shop.Shop/Ask' });
    expect(bugs()).toEqual([]);
  });

  it('that fails says so with its message and metadata, and is recorded as failed', async () => {
    await open();
    const { error, trailers } = await ask('fail');
    expect([error?.code, error?.details]).toEqual([status.NOT_FOUND, 'no such thing: ü%']);
    expect(trailers.get('x-left')).toEqual(['7']);
    expect(outcomes().at(-1)).toMatchObject({
      detail: { status: 'failed', code: 'grpc-5', http: { status: 200, grpcStatus: 5 } },
    });
  });

  it('goes on its connection again after another', async () => {
    await open();
    for (const text of ['a', 'b', 'fail', 'c']) await ask(text);
    expect((await ask('d')).text).toBe('d');
  });

  it('of many megabytes goes either way', async () => {
    await open();
    const much = 'm'.repeat(20_000_000);
    expect((await ask(much)).text === much).toBe(true);
  });

  it('passes its deadline on, and ends by it', async () => {
    await open();
    const { error } = await ask('never', { deadlineMs: 500 });
    expect(error?.code).toBe(status.DEADLINE_EXCEEDED);
    expect(seen.metadata).toBeDefined();
    await eventually('the server hears of it', () => seen.cancelled > 0);
  });

  it('carries the target’s credential in the place of the client’s', async () => {
    await open({ config: { credential: { bearer: 'env:PW' } } });
    const metadata = new Metadata();
    metadata.set('authorization', 'Bearer mine');
    metadata.set('x-tenant', 'a');
    await ask('hello', { metadata });
    expect(seen.metadata.get('authorization')).toEqual([`Bearer ${CREDENTIAL}`]);
    expect(seen.metadata.get('x-tenant')).toEqual(['a']);
  });
});

describe('streams', () => {
  it('of a server come whole', async () => {
    await open();
    const { path, requestSerialize, responseDeserialize } = methods.list;
    const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, Buffer.from('500'));
    let bytes = 0;
    for await (const piece of call) bytes += piece.length;
    expect(bytes).toBe(5_000_000);
  });

  it('of a server wait for a client that does not read', async () => {
    await open();
    // The usual client reads whether it is asked or not.
    const session = http2.connect('http://api', { createConnection: () => bed.client });
    session.on('error', () => {});
    const fields = {
      ':method': 'POST',
      ':path': methods.list.path,
      'content-type': 'application/grpc',
      te: 'trailers',
    };
    const call = session.request(fields);
    call.end(Buffer.from([0, 0, 0, 0, 4, ...Buffer.from('2000')]));
    await eventually('it begins', () => seen.written > 0);
    for (let turns = 0; turns < 20; turns++) await settled();
    expect(seen.written).toBeLessThan(500);
    let trailers: http2.IncomingHttpHeaders = {};
    call.on('trailers', (all: http2.IncomingHttpHeaders) => {
      trailers = all;
    });
    let bytes = 0;
    for await (const piece of call) bytes += piece.length;
    expect(bytes).toBe(2000 * 10_005);
    expect(trailers['grpc-status']).toBe('0');
    session.destroy();
  });

  it('of a client arrive whole', async () => {
    await open();
    const { path, requestSerialize, responseDeserialize } = methods.put;
    const answer = await new Promise<Buffer | undefined>((resolve) => {
      const call = client.makeClientStreamRequest(path, requestSerialize, responseDeserialize, (_, sum) =>
        resolve(sum),
      );
      for (let at = 0; at < 200; at++) call.write(Buffer.alloc(10_000));
      call.end();
    });
    expect(answer?.toString()).toBe('2000000');
  });

  it('go both ways at once, each message answered before the next', async () => {
    await open();
    const { path, requestSerialize, responseDeserialize } = methods.talk;
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    const answers = call[Symbol.asyncIterator]();
    for (const text of ['one', 'two', 'three']) {
      call.write(Buffer.from(text));
      expect(String((await answers.next()).value)).toBe(`re: ${text}`);
    }
    // Hours of silence end nothing.
    await bed.clock.advance(7_200_000);
    call.write(Buffer.from('four'));
    expect(String((await answers.next()).value)).toBe('re: four');
    call.end();
    expect((await answers.next()).done).toBe(true);
    expect(bugs()).toEqual([]);
  });

  it('do not wait for the next message where one ends as the credential begins', async () => {
    await open({ config: { credential: { bearer: 'env:PW' } } });
    const { path, requestSerialize, responseDeserialize } = methods.talk;
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    const answers = call[Symbol.asyncIterator]();
    for (const text of [CREDENTIAL.slice(0, 1), CREDENTIAL.slice(0, 7), 'c'.repeat(100_000)]) {
      call.write(Buffer.from(text));
      expect(String((await answers.next()).value) === `re: ${text}`).toBe(true);
    }
    call.write(Buffer.from(`c${CREDENTIAL}c`));
    expect(String((await answers.next()).value)).toBe(`re: c${'*'.repeat(CREDENTIAL.length)}c`);
    call.end();
  });

  it('that the server ends before the client does have its status', async () => {
    await open();
    const { path, requestSerialize, responseDeserialize } = methods.put;
    const error = await new Promise<ServiceError | null>((resolve) => {
      const call = client.makeClientStreamRequest(path, requestSerialize, responseDeserialize, resolve);
      call.write(Buffer.from('enough'));
    });
    expect([error?.code, error?.details]).toEqual([status.OUT_OF_RANGE, 'enough']);
    expect((await ask('hello')).text).toBe('hello');
  });

  it('that the client takes back are taken back from the server', async () => {
    await open();
    const { path, requestSerialize, responseDeserialize } = methods.list;
    const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, Buffer.from('0'));
    call.on('error', () => {});
    await new Promise((resolve) => call.once('data', resolve));
    call.cancel();
    await eventually('the server hears of it', () => seen.cancelled > 0);
    expect((await ask('hello')).text).toBe('hello');
  });
});

describe('what the gateway refuses', () => {
  it('by policy is PERMISSION_DENIED', async () => {
    await open({ decide: () => denied });
    const { error } = await ask('hello');
    expect(error?.code).toBe(status.PERMISSION_DENIED);
    expect(error?.details).toContain('policy does not allow');
    expect(seen.metadata.get('user-agent')).toEqual([]);
  });

  it('for masks is INTERNAL, and not a byte of the answer is shown', async () => {
    await open({ decide: () => allowed({ masks: [{ path: ['*', 'ssn'], kind: 'redact' } as never] }) });
    const { error, text, trailers } = await ask('hello');
    expect([error?.code, text]).toEqual([status.INTERNAL, undefined]);
    expect(trailers.get('x-left')).toEqual([]);
  });

  it('of an answer without a body beside masks is its status alone', async () => {
    await open({ decide: () => allowed({ masks: [{ path: ['*', 'ssn'], kind: 'redact' } as never] }) });
    const { error, trailers } = await ask('fail');
    expect(error?.code).toBe(status.NOT_FOUND);
    expect(error?.details).not.toContain('no such thing');
    expect(trailers.get('x-left')).toEqual([]);
  });

  it('for its bytes is RESOURCE_EXHAUSTED', async () => {
    await open({ decide: () => allowed({ limits: { bytesIn: 100 } }) });
    expect((await ask('x'.repeat(1000))).error?.code).toBe(status.RESOURCE_EXHAUSTED);
  });

  it('for an upstream that is away is UNAVAILABLE', async () => {
    await open({ config: { url: 'http://127.0.0.1:1' } });
    expect((await ask('hello')).error?.code).toBe(status.UNAVAILABLE);
  });
});

describe('compression', () => {
  const gzip = { 'grpc.default_compression_algorithm': 2 };
  it('of requests passes', async () => {
    await open({}, gzip);
    expect((await ask('z'.repeat(10_000))).text).toBe('z'.repeat(10_000));
  });

  it('is not asked for where a credential is looked for in answers', async () => {
    await open({ config: { credential: { bearer: 'env:PW' } } });
    await ask('hello');
    expect(seen.metadata.get('grpc-accept-encoding')).toEqual([]);
  });
});

describe('a trailer', () => {
  it('with the credential has it struck out, and one that config hides is hidden', async () => {
    await open({ config: { credential: { bearer: 'env:PW' }, responseHeaders: { deny: ['x-left'] } } });
    const { trailers } = await ask('echo');
    expect(trailers.get('x-echo')).toEqual([`Bearer ${'*'.repeat(CREDENTIAL.length)}`]);
    expect(trailers.get('x-left')).toEqual([]);
  });
});

describe('over TLS', () => {
  const authority = createTestAuthority('example.org', Date.now());
  const { certPem, keyPem } = authority.issue('/api', 3600, ['localhost']);

  async function openTls(protocols: readonly string[] | undefined): Promise<readonly string[]> {
    const heard: string[] = [];
    const alpn = protocols === undefined ? {} : { ALPNProtocols: [...protocols] };
    const server = tls.createServer({ cert: certPem, key: keyPem, ...alpn }, (socket) => {
      socket.on('error', () => {}).on('data', (chunk: Buffer) => heard.push(chunk.toString('latin1')));
    });
    server.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    stop = () => server.close();
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    seen = { metadata: new Metadata(), cancelled: 0, written: 0 };
    bed = await openHttp({
      config: { url: `https://127.0.0.1:${port}`, serverName: 'localhost', roots: 'file:/ca', upstreamHttp2: true },
      secret: () => encodePem('CERTIFICATE', authority.rootDer),
    });
    client = await clientOver(bed.client);
    return heard;
  }

  it.each([
    [['http/1.1']],
    [undefined],
  ])('an upstream that has %j by ALPN is told of, and not spoken to', async (protocols) => {
    const heard = await openTls(protocols);
    expect((await ask('hello')).error?.code).toBe(status.UNAVAILABLE);
    expect(bed.problems.at(-1)?.what).toContain('does not agree to HTTP/2');
    expect(heard).toEqual([]);
  });

  it('an upstream that has h2 is spoken to', async () => {
    const heard = await openTls(['h2', 'http/1.1']);
    bed.send('GET /v1/x HTTP/1.1\r\nhost: api\r\n\r\n');
    await eventually('its preface', () => heard.join('').startsWith('PRI * HTTP/2.0'));
  });
});
