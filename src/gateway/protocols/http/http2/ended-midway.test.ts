/** What policy ends midway is told as its client can be told by then: a call of gRPC by its status, a stream of HTTP/2 by a reset that says whose doing it was. */
import * as http2 from 'node:http2';
import {
  type Client,
  Metadata,
  type ServerDuplexStream,
  type ServerWritableStream,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import type { Limits } from '../../../../model/index.ts';
import { clientOver, methods, startGrpc } from '../testing/grpc-peers.ts';
import { allowed, type HttpBed, openHttp, settled } from '../testing/harness.ts';

let bed: HttpBed;
let client: Client | undefined;
let session: http2.ClientHttp2Session | undefined;
let stop: () => void = () => {};
let goOn: (text: string) => void;
let breakOff: () => void;
afterEach(async () => {
  client?.close();
  session?.destroy();
  [client, session] = [undefined, undefined];
  await bed?.close();
  stop();
});

/** A call that gets one message and waits. */
async function begin(limits: Limits = {}, first = 'first') {
  const server = await startGrpc({
    ask() {},
    put() {},
    talk(call: ServerDuplexStream<Buffer, Buffer>) {
      call.on('data', () => call.write(Buffer.from(first)));
    },
    list(call: ServerWritableStream<Buffer, Buffer>) {
      call.write(Buffer.from(first));
      goOn = (text) => void call.write(Buffer.from(text));
      breakOff = () => server.stop();
    },
  });
  stop = server.stop;
  const config = { url: `http://127.0.0.1:${server.port}`, upstreamHttp2: true };
  bed = await openHttp({ config, decide: () => allowed({ limits }) });
  client = await clientOver(bed.client);
  const { path, requestSerialize, responseDeserialize } = methods.list;
  const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, Buffer.from('x'));
  const heard: string[] = [];
  call.on('data', (piece: Buffer) => heard.push(piece.toString()));
  const ended = new Promise<ServiceError>((resolve) => call.once('error', resolve));
  await eventually('its first message', () => heard.length > 0);
  return { heard, ended, call };
}
const outcome = () => bed.ledger.events.findLast(({ kind }) => kind === 'outcome')?.detail;
const bugs = () => bed.logged.filter((line) => line.includes('session_bug'));

describe('a call of gRPC', () => {
  it('that lasts longer than policy allows has DEADLINE_EXCEEDED', async () => {
    const { ended } = await begin({ duration: 1_000 });
    await bed.clock.advance(1_001);
    expect(await ended).toMatchObject({
      code: status.DEADLINE_EXCEEDED,
      details: expect.stringContaining('longer than policy allows'),
    });
    expect(outcome()).toMatchObject({ status: 'over-limit', limit: { unit: 'duration', most: 1_000 } });
    expect(bugs()).toEqual([]);
  });

  it('whose answer has more bytes than policy allows has RESOURCE_EXHAUSTED', async () => {
    const { ended, heard } = await begin({ bytesOut: 100 });
    goOn('x'.repeat(200));
    expect(await ended).toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      details: expect.stringContaining('more bytes than policy allows'),
    });
    expect(heard).toEqual(['first']);
  });

  it('that sends more bytes than policy allows has RESOURCE_EXHAUSTED', async () => {
    await begin({ bytesIn: 100 });
    const { path, requestSerialize, responseDeserialize } = methods.talk;
    const call = client?.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    const ended = new Promise<ServiceError>((resolve) => call?.once('error', resolve));
    const first = new Promise((resolve) => call?.once('data', resolve));
    call?.write(Buffer.from('x'));
    await first;
    call?.write(Buffer.alloc(200));
    expect(await ended).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
  });

  it('whose identity is no longer trusted has UNAUTHENTICATED', async () => {
    const { ended } = await begin();
    bed.end();
    expect(await ended).toMatchObject({
      code: status.UNAUTHENTICATED,
      details: expect.stringContaining('no longer trusted'),
    });
    expect(outcome()).toMatchObject({ status: 'unknown' });
  });

  it('whose upstream has gone has UNAVAILABLE', async () => {
    const { ended } = await begin();
    breakOff();
    expect(await ended).toMatchObject({ code: status.UNAVAILABLE });
  });

  it('is no end of its connection, on which the next call is served', async () => {
    const { ended } = await begin({ duration: 1_000 });
    await bed.clock.advance(1_001);
    await ended;
    const { path, requestSerialize, responseDeserialize } = methods.list;
    const call = client?.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      Buffer.from('x'),
      new Metadata(),
    );
    call?.on('error', () => {});
    await new Promise((resolve) => call?.once('data', resolve));
    expect(bugs()).toEqual([]);
  });
});

describe('a stream of HTTP/2 that is none', () => {
  const ask = async (limits: Limits = {}) => {
    bed = await openHttp({ decide: () => allowed({ limits }) });
    session = http2.connect('http://api', { createConnection: () => bed.client });
    session.on('error', () => {});
    const stream = session.request({ ':path': '/v1/x' });
    let text = '';
    let hasEnded = false;
    const closed = new Promise<void>((resolve) => stream.once('close', resolve));
    stream
      .on('error', () => {})
      .on('end', () => {
        hasEnded = true;
      })
      .on('data', (more: Buffer) => {
        text += more.toString();
      });
    await bed.heard('/v1/x');
    bed.say('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n');
    await eventually('some of it', () => text === 'first');
    return { stream, closed, isWhole: () => hasEnded && stream.rstCode === 0 };
  };

  it.each<readonly [string, Limits, () => unknown]>([
    ['a limit', { duration: 1_000 }, () => bed.clock.advance(1_001)],
    ['bytes of its answer', { bytesOut: 100 }, () => bed.say(`c8\r\n${'x'.repeat(200)}\r\n`)],
    ['its identity', {}, () => bed.end()],
  ])('is reset with CANCEL by %s', async (_, limits, end) => {
    const { stream, closed, isWhole } = await ask(limits);
    await end();
    await closed;
    expect(stream.rstCode).toBe(http2.constants.NGHTTP2_CANCEL);
    expect(isWhole()).toBe(false);
  });

  it('is reset with INTERNAL_ERROR by an upstream that has gone', async () => {
    const { stream, closed, isWhole } = await ask();
    bed.socket.resetAndDestroy();
    await closed;
    expect(stream.rstCode).toBe(http2.constants.NGHTTP2_INTERNAL_ERROR);
    expect(isWhole()).toBe(false);
  });
});

it('a client of HTTP/1.1 is cut, whatever it calls itself, so that nobody between takes its answer for whole', async () => {
  bed = await openHttp({ decide: () => allowed({ limits: { duration: 1_000 } }) });
  bed.send(
    'POST /a/b HTTP/1.1\r\nhost: api\r\ncontent-type: application/grpc\r\nconnection: te\r\nte: trailers\r\ncontent-length: 0\r\n\r\n',
  );
  await bed.heard('/a/b');
  bed.say('HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n');
  await bed.until('first');
  await bed.clock.advance(1_001);
  await bed.closed;
  await settled();
  expect(bed.received()).not.toContain('\r\n0\r\n');
});
