import { createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { greeting } from '../testing/greeting.ts';
import { startTarget } from '../testing/harness.ts';

// Goal: the gateway's own logins, which come every few minutes for as long as it runs, leave nothing behind.

test.each([
  ['goes on talking', (socket: Socket) => void socket.write(greeting)],
  ['ends its side as well', (socket: Socket) => void socket.end()],
])('a login to look whether the target lets the gateway in is closed, though the server %s', async (_, answer) => {
  let goodbye = '';
  const ends: string[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const talk = () => {
      if (socket.destroyed) return;
      answer(socket);
      setImmediate(talk);
    };
    socket.once('data', () => socket.write(greeting));
    socket.on('data', (chunk) => {
      goodbye = chunk.toString('latin1');
    });
    socket.on('end', talk).on('error', () => {});
    socket.on('close', () => ends.push('closed'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const gate = await startTarget({ config: { host: '127.0.0.1', port, database: 'app', user: 'gate' } });
  const open = () => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
  const before = open();
  try {
    expect(await gate.target.check(AbortSignal.timeout(10_000))).toBeUndefined();
    await expect.poll(() => ends).toEqual(['closed']);
    expect(goodbye).toBe('X\0\0\0\x04');
    await expect.poll(open).toBe(before);
  } finally {
    await gate.close();
    server.close();
  }
});
