import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { answerOf, denied, type HttpBed, type HttpBedOptions, openHttp } from '../testing/harness.ts';

// Goal: one of several upstreams may fail in any way; what changes nothing is answered by another, and nothing that may change something is sent twice.

type Way = 'refuses' | 'closes' | 'resets' | 'partial' | 'credential' | 'interim';

const servers: Server[] = [];
const sockets: Socket[] = [];
let bed: HttpBed | undefined;
let heard: string[] = [];
afterEach(async () => {
  await bed?.close();
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
  bed = undefined;
  heard = [];
});

const startOne = async (answer: (socket: Socket) => void): Promise<string> => {
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      heard.push(chunk.toString('latin1'));
      answer(socket);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
};

const FAIL: Readonly<Record<Exclude<Way, 'refuses'>, (socket: Socket) => void>> = {
  closes: (socket) => void socket.end(),
  resets: (socket) => void socket.resetAndDestroy(),
  partial: (socket) => void socket.end('HTTP/1.1 200 OK\r\ncontent-'),
  interim: (socket) => void socket.end('HTTP/1.1 103 Early Hints\r\n\r\n'),
  credential: (socket) => void socket.write(answerOf('{}', {}, '401 Unauthorized')),
};

/** Two upstreams, of which the one that is asked first fails so, and the other answers. */
const open = async (way: Way, options: HttpBedOptions = {}) => {
  let isFirst = true;
  const act = (socket: Socket) => {
    if (isFirst && way !== 'refuses') {
      isFirst = false;
      FAIL[way](socket);
    } else socket.write(answerOf('{"ok":true}'));
  };
  const url = [await startOne(act), await startOne(act)];
  if (way === 'refuses') await new Promise((resolve) => servers[0]?.close(resolve));
  bed = await openHttp({ ...options, config: { ...options.config, url, credential: { bearer: 'env:PW' } } });
  return bed;
};
const send = (method: string) => `${method} /a HTTP/1.1\r\nhost: api\r\ncontent-length: 0\r\n\r\n`;
const outcomes = () => bed?.ledger.events.filter(({ kind }) => kind === 'outcome').map(({ detail }) => detail);

describe('one of two upstreams that', () => {
  it.each<[Way, string, number, number]>([
    ...(['GET', 'OPTIONS', 'POST', 'DELETE'] as const).map(
      (method) => ['refuses', method, 200, 1] as [Way, string, number, number],
    ),
    ['closes', 'GET', 200, 2],
    ['closes', 'OPTIONS', 200, 2],
    ['closes', 'POST', 502, 1],
    ['closes', 'PUT', 502, 1],
    ['closes', 'DELETE', 502, 1],
    ['resets', 'GET', 200, 2],
    ['resets', 'POST', 502, 1],
    ['partial', 'GET', 502, 1],
    ['partial', 'POST', 502, 1],
    ['interim', 'GET', 502, 1],
    ['credential', 'GET', 200, 2],
    ['credential', 'POST', 502, 1],
    ['credential', 'DELETE', 502, 1],
  ])('%s a %s: the client gets %i, %i sent, and there is one outcome', async (way, method, status, times) => {
    const opened = await open(way);
    opened.send(send(method));
    await opened.until(`HTTP/1.1 ${status}`);
    expect(heard).toHaveLength(times);
    expect(outcomes()).toHaveLength(1);
    expect(outcomes()?.[0]).toMatchObject({
      status: status === 200 ? 'done' : way === 'credential' ? 'failed' : 'unknown',
    });
    expect(outcomes()?.[0]).toMatchObject({ http: { upstream: /host: (.*)\r/.exec(heard.at(-1) ?? '')?.[1] } });
    if (times === 2) expect(new Set(heard.map((text) => /host: (.*)\r/.exec(text)?.[1])).size).toBe(2);
  });

  it('fails is not followed by another once policy says otherwise', async () => {
    const opened = await open('closes', { decide: () => (heard.length === 0 ? undefined : denied) });
    opened.send(send('GET'));
    await opened.until('HTTP/1.1 502');
    expect(heard).toHaveLength(1);
  });

  it('answers 503 is shown as it is', async () => {
    const busy = (socket: Socket) => void socket.write(answerOf('{}', {}, '503 Busy'));
    bed = await openHttp({ config: { url: [await startOne(busy), await startOne(busy)] } });
    bed.send(send('GET'));
    await bed.until('HTTP/1.1 503');
    expect(heard).toHaveLength(1);
  });

  it('another one redirects to is told by its path alone', async () => {
    const moved = (to: string) => (socket: Socket) =>
      void socket.write(answerOf('{}', { location: `${to}/b` }, '302 Found'));
    const second = await startOne(() => {});
    bed = await openHttp({ config: { url: [await startOne(moved(second)), second] } });
    for (const server of servers.slice(0, 1)) await new Promise((resolve) => server.close(resolve));
    bed.send(send('GET'));
    await bed.until('location: /b\r\n');
  });
});
