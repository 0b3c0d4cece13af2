import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import * as net from 'node:net';
import { endianness } from 'node:os';
import { describe, expect, it } from 'vitest';
import { encodeQuestion, openSocketDiag, peerOf } from './socket-diag.ts';
import { findInTables } from './socket-table.ts';

const QUESTION = encodeQuestion({
  local: { host: '127.0.0.1', port: 0xa3b4 },
  remote: { host: '127.0.0.1', port: 0x1f90 },
});

/** An answer as the kernel gives it. */
function answer({ state = 1, ports = 'a3b41f90', uid = 1000, inode = 4711 } = {}): Buffer {
  const bytes = Buffer.alloc(88);
  const put = (value: number, at: number) =>
    endianness() === 'LE' ? bytes.writeUInt32LE(value, at) : bytes.writeUInt32BE(value, at);
  put(88, 0);
  bytes[endianness() === 'LE' ? 4 : 5] = 20;
  bytes[16] = 2;
  bytes[17] = state;
  bytes.set(Buffer.from(ports, 'hex'), 20);
  put(uid, 80);
  put(inode, 84);
  return bytes;
}
function failure(code: number): Buffer {
  const bytes = Buffer.alloc(36);
  bytes[endianness() === 'LE' ? 4 : 5] = 2;
  if (endianness() === 'LE') bytes.writeInt32LE(-code, 16);
  else bytes.writeInt32BE(-code, 16);
  return bytes;
}

describe('an answer about a connection', () => {
  it('tells user and inode, none where nobody has it open any more', () => {
    expect(peerOf(answer(), QUESTION)).toEqual({ uid: 1000, inode: '4711' });
    expect(peerOf(answer({ uid: 0, inode: 0 }), QUESTION)).toEqual({ uid: 0, inode: undefined });
  });

  it('that there is none is also that of a socket which listens in its place', () => {
    expect(peerOf(failure(2), QUESTION)).toBeUndefined();
    expect(peerOf(answer({ state: 10, ports: 'a3b40000' }), QUESTION)).toBeUndefined();
  });

  it.each([
    ['to another question', answer({ ports: 'a3b51f90' })],
    ['of another failure', failure(13)],
    ['cut short', answer().subarray(0, 87)],
    ['of nothing', Buffer.alloc(0)],
  ])('%s is none', (_what, message) => {
    expect(() => peerOf(message, QUESTION)).toThrow('the kernel');
  });
});

describe('the kernel', () => {
  it('names the same sockets as its tables do, of programs that use IPv6 too, and none that is not there', async () => {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo; // It listens to a port.
    const clients = ['127.0.0.1', '::ffff:127.0.0.1'].map((host) => net.connect({ host, port }));
    try {
      await Promise.all(clients.map((client) => once(client, 'connect')));
      const origins = clients.map((client) => ({ host: '127.0.0.1', port: client.localPort ?? 0 }));
      const tables = ['tcp', 'tcp6'].map((name) => () => readFileSync(`/proc/net/${name}`, 'latin1'));
      const expected = findInTables(tables, endianness())(origins, port);
      for (const peer of expected)
        expect(peer).toEqual({ uid: process.geteuid?.(), inode: expect.stringMatching(/^[1-9]/) });
      const find = openSocketDiag(port);
      // A kernel without it has the tables.
      if (find !== undefined)
        expect(find([...origins, { host: '127.0.0.1', port }], port)).toEqual([...expected, undefined]);
      expect(openSocketDiag(origins[0]?.port ?? 0)).toBeUndefined(); // Nobody listens there.
    } finally {
      for (const client of clients) client.destroy();
      server.close();
    }
  });
});
