import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createPlainServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApiClient } from './transport.ts';

// Goal: of several servers one that answers does, and nothing that may have been done is asked for again unless that does no more than once.

let folder: string;
const closing: (() => void)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'places-'));
});
afterEach(() => {
  for (const close of closing.splice(0)) close();
  rmSync(folder, { recursive: true });
});

/** A server at a socket, which counts what it is asked. */
async function start(name: string, answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const seen: string[] = [];
  const unix = join(folder, name);
  const server: Server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(unix, resolve));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  closing.push(close);
  return { unix, seen, close };
}
const well = (_: IncomingMessage, response: ServerResponse) =>
  void response.end('{"items":[],"revision":0,"ended":[]}');
const cut = (request: IncomingMessage) => void request.socket.destroy();
const END = { sessions: [] } as never;

describe('a client of several servers', () => {
  it('asks the next one when nobody is at the first, and stays with who answered', async () => {
    const [second, third] = [await start('b', well), await start('c', well)];
    const api = createApiClient([{ unix: join(folder, 'a') }, second, third]);
    await api.call('target.list', {});
    await api.call('session.end', END);
    expect([second.seen.length, third.seen.length]).toEqual([2, 0]);
    second.close();
    await api.call('session.end', END);
    expect(third.seen).toEqual(['POST /v1/end-sessions']);
  });

  it('asks again elsewhere what only looks, and what has a key, when the first goes away amid it', async () => {
    const [first, second] = [await start('a', cut), await start('b', well)];
    await createApiClient([first, second]).call('target.list', {});
    await createApiClient([first, second]).call('session.end', END, { idempotencyKey: 'k'.repeat(32) });
    expect(second.seen).toHaveLength(2);
  });

  it('asks nowhere else for what may have been done, and says what is not known', async () => {
    const [first, second] = [await start('a', cut), await start('b', well)];
    await expect(createApiClient([first, second]).call('session.end', END)).rejects.toThrow(
      `${first.unix} went away amid POST /v1/end-sessions: it is not known whether that was done`,
    );
    expect(second.seen).toEqual([]);
  });

  it('goes by what a server answers, whatever that is', async () => {
    const refuse = (_: IncomingMessage, response: ServerResponse) => void response.writeHead(403).end('{}');
    const [first, second] = [await start('a', refuse), await start('b', well)];
    await expect(createApiClient([first, second]).call('target.list', {})).rejects.toMatchObject({ status: 403 });
    expect(second.seen).toEqual([]);
  });

  it('says of each that it is not reached', async () => {
    const api = createApiClient([{ unix: join(folder, 'a') }, { unix: join(folder, 'b') }]);
    const failure = api.call('target.list', {});
    await expect(failure).rejects.toMatchObject({ code: 'ECONNREFUSED', syscall: 'connect' });
    await expect(failure).rejects.toThrow(/none is reached: .*\/a: .*; .*\/b: /);
  });

  it('leaves one that takes connections and never proves who it is, before anything was sent to it', async () => {
    const silent = createPlainServer((socket) => void socket.on('error', () => {}));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    closing.push(() => silent.close());
    const at = silent.address();
    const second = await start('b', well);
    const port = typeof at === 'object' && at !== null ? at.port : 0;
    await createApiClient([{ host: '127.0.0.1', port }, second]).call('session.end', END);
    expect(second.seen).toHaveLength(1);
  });
});
