import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import { createManualClock } from '../../../../std/index.ts';
import { hear, PREFACE, pseudo, request } from '../testing/frames.ts';
import { refuseByVersion } from './by-version.ts';
import { lookAtFirstBytes } from './first-bytes.ts';

const ANSWER = { status: 400, reason: 'identity', message: 'no', hint: 'Come again.' };
const opened: { destroy(): void }[] = [];
afterEach(() => {
  for (const one of opened.splice(0)) one.destroy();
});

async function pair(): Promise<{ client: Socket; inner: Socket }> {
  const { promise, resolve } = Promise.withResolvers<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, resolve);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  const client = connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1');
  client.on('error', () => {});
  const inner = await promise;
  server.close();
  opened.push(client, inner);
  return { client, inner };
}

describe('who is refused', () => {
  it('in HTTP/2 gets an answer in it to what it asked, and the end', async () => {
    const { client, inner } = await pair();
    const heard = hear(client);
    void refuseByVersion(inner, { clock: createManualClock(0), http2: true }, ANSWER);
    client.write(Buffer.concat([PREFACE, request(1, pseudo())]));
    await eventually('the end', () => client.readableEnded || client.destroyed);
    expect([heard.statuses.get(1), heard.bodies.get(1), heard.goaways]).toEqual([
      400,
      expect.stringContaining('Come again.'),
      [0],
    ]);
  });

  it('in HTTP/2 where that is not served gets it in HTTP/1.1', async () => {
    const { client, inner } = await pair();
    let text = '';
    client.on('data', (more: Buffer) => {
      text += more.toString();
    });
    void refuseByVersion(inner, { clock: createManualClock(0), http2: false }, ANSWER);
    client.write(PREFACE);
    await eventually('the end', () => client.readableEnded);
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('in HTTP/1.1 gets it in that', async () => {
    const { client, inner } = await pair();
    let text = '';
    client.on('data', (more: Buffer) => {
      text += more.toString();
    });
    void refuseByVersion(inner, { clock: createManualClock(0), http2: true }, ANSWER);
    client.write('GET / HTTP/1.1\r\n');
    await eventually('the end', () => client.readableEnded);
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('and says nothing is let go in its time', async () => {
    const { client, inner } = await pair();
    const clock = createManualClock(0);
    client.resume();
    void refuseByVersion(inner, { clock, http2: true }, ANSWER);
    await clock.advance(5_000);
    await eventually('the end', () => client.readableEnded);
  });
});

describe('the first bytes', () => {
  const look = (client: Socket, clock = createManualClock(0), ends: readonly AbortSignal[] = []) =>
    lookAtFirstBytes(client, { clock, ends, silentMs: 1_000 });

  it('tell of HTTP/2 by its whole preface, however it is cut, and are there for who serves it', async () => {
    const { client, inner } = await pair();
    const spoken = look(inner);
    for (const byte of PREFACE.subarray(0, 24)) {
      client.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await spoken).toBe('http2');
    expect(inner.read()).toEqual(PREFACE.subarray(0, 24));
  });

  it('of anything else are HTTP/1.1, also where they begin alike', async () => {
    const { client, inner } = await pair();
    client.write('PRI * HTTP/2.0\r\n\r\nXX');
    expect(await look(inner)).toBe('http1');
  });

  it('that do not go on are for HTTP/1.1 to judge', async () => {
    const { client, inner } = await pair();
    const clock = createManualClock(0);
    const spoken = look(inner, clock);
    client.write('PRI * HT');
    await eventually('they came', () => inner.bytesRead === 8);
    await clock.advance(10_000);
    expect(await spoken).toBe('http1');
  });

  it('never come of a client that leaves, or is silent', async () => {
    const [left, silent] = [await pair(), await pair()];
    const clock = createManualClock(0);
    const both = [look(left.inner, clock), look(silent.inner, clock)];
    left.client.end();
    expect(await both[0]).toBe('gone');
    await clock.advance(1_000);
    expect(await both[1]).toBe('gone');
  });

  it('are not waited for once the session ends', async () => {
    const { inner } = await pair();
    const end = new AbortController();
    const spoken = look(inner, createManualClock(0), [end.signal]);
    end.abort();
    expect(await spoken).toBe('http1');
  });
});
