import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { askReady } from './ask-ready.ts';

// Goal: whatever listens where a role should, the question comes to an end with an answer or a reason.

let server: Server | undefined;
const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server?.close();
});

/** Asks one that says this and closes, or says nothing. */
async function ask(answer: string | undefined, timeoutMs = 10_000) {
  server = createServer((socket) => {
    sockets.push(socket.on('error', () => {}));
    if (answer !== undefined) socket.end(answer);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A listener on TCP has a port.
  return askReady({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, timeoutMs });
}

const http = (status: number, body: string) =>
  `HTTP/1.1 ${status} X\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`;

describe('a role that is asked', () => {
  it.each([
    [200, { status: 'ready' }],
    [503, { reasons: ['it is starting'] }],
  ])('answers with its status and what it says: %d', async (status, body) => {
    expect(await ask(http(status, JSON.stringify(body)))).toEqual({ status, body });
  });

  it('that says nothing is given up', async () => {
    await expect(ask(undefined, 50)).rejects.toThrow('The operation was aborted due to timeout');
  });

  it.each([
    ['no JSON', http(200, 'hello'), /is not valid JSON/],
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n', /Expected HTTP/],
    ['half an answer', http(200, '{}').replace('length: 2', 'length: 9'), /aborted/],
    ['without end', http(200, ' '.repeat(5_000_000)), /its answer is too long/],
  ])('is something else where it answers with %s', async (_, answer, reason) => {
    await expect(ask(answer)).rejects.toThrow(reason);
  });
});
