/** Calls that go on for hours do not keep others of their connection from being served; what a client may have at once it is told, and waits for by itself. */
import { createServer, type ServerResponse } from 'node:http';
import { connect } from 'node:http2';
import type { Client, ClientReadableStream, ServerUnaryCall, ServerWritableStream, sendUnaryData } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import { clientOver, methods, startGrpc } from '../testing/grpc-peers.ts';
import { type HttpBed, openHttp, settled } from '../testing/harness.ts';
import { createLaneRoom } from './lane-room.ts';

let bed: HttpBed;
let client: Client;
let stop: () => void;
let endOne: () => void;
let seen: { listening: number; answered: number };
afterEach(async () => {
  client.close();
  calls.length = 0;
  await bed?.close();
  stop?.();
});

async function open(): Promise<void> {
  const now = { listening: 0, answered: 0 };
  seen = now;
  const server = await startGrpc({
    talk() {},
    put() {},
    list(call: ServerWritableStream<Buffer, Buffer>) {
      now.listening++;
      call.on('cancelled', () => now.listening--);
      call.write(Buffer.from('first'));
      endOne = () => call.end();
    },
    ask(call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
      now.answered++;
      done(null, call.request);
    },
  });
  stop = server.stop;
  bed = await openHttp({ config: { url: `http://127.0.0.1:${server.port}`, upstreamHttp2: true } });
  client = await clientOver(bed.client);
}
const calls: ClientReadableStream<Buffer>[] = [];
function listen(count: number): void {
  const { path, requestSerialize, responseDeserialize } = methods.list;
  for (let at = 0; at < count; at++) {
    const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, Buffer.from('x'));
    call.on('error', () => {}).on('data', () => {});
    calls.push(call);
  }
}
async function ask(): Promise<string> {
  const { path, requestSerialize, responseDeserialize } = methods.ask;
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, Buffer.from('hello'), (error, answer) =>
      error === null ? resolve(String(answer)) : reject(error),
    );
  });
}
/** So many are in the gateway, and it has waited. */
async function run(count: number): Promise<void> {
  listen(count);
  await eventually('those run that may at once', () => seen.listening === Math.min(count, 32));
  await eventually('all run', async () => {
    await bed.clock.advance(250);
    return seen.listening === count;
  });
}

describe('calls that go on', () => {
  it('leave room for another, however many they are', async () => {
    await open();
    await run(32);
    const one = ask();
    await settled();
    await bed.clock.advance(250);
    expect(await one).toBe('hello');
    // They are known to be such by now.
    for (let at = 0; at < 5; at++) expect(await ask()).toBe('hello');
  });

  it('run all, up to as many as a client is told that it may have', async () => {
    await open();
    await run(99);
    await bed.clock.advance(250);
    expect(await ask()).toBe('hello');
  });

  it('have a call beyond that wait in its client, until one of them ends', async () => {
    await open();
    expect(await ask()).toBe('hello'); // It has been told by then.
    await run(100);
    const waiting = ask();
    await settled();
    await bed.clock.advance(120_000);
    await settled();
    endOne();
    expect(await waiting).toBe('hello');
  });

  it('give their connections upstream back, but for those of a burst', async () => {
    const held: ServerResponse[] = [];
    const server = createServer((_request, response) => void held.push(response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    stop = () => server.closeAllConnections();
    bed = await openHttp({ config: { url: `http://127.0.0.1:${port}` } });
    const session = connect('http://api', { createConnection: () => bed.client });
    session.on('error', () => {});
    let over = 0;
    for (let at = 0; at < 80; at++)
      session
        .request({ ':path': '/v1/x' })
        .on('close', () => over++)
        .resume()
        .end();
    await eventually('all are asked', async () => {
      await bed.clock.advance(250);
      return held.length === 80;
    });
    for (const response of held) response.end('fine');
    await eventually('all are over', () => over === 80);
    const connections = () => new Promise<number>((resolve) => server.getConnections((_, count) => resolve(count)));
    await eventually('those of a burst are left', async () => (await connections()) === 32);
    server.close();
    session.destroy();
  });
});

describe('one identity', () => {
  it('has so many connections upstream for calls that go on, by however many of its own, and no other has fewer for that', () => {
    const room = createLaneRoom();
    const taken = (identity: string) => Array.from({ length: 1_000 }, () => room.take(identity)).filter(Boolean).length;
    const most = taken('spiffe://example.org/web');
    expect(most).toBe(272);
    expect(taken('spiffe://example.org/job')).toBe(most);
    room.give('spiffe://example.org/web');
    expect(taken('spiffe://example.org/web')).toBe(1);
  });
});
