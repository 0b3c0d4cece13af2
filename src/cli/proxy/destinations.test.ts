import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createReach, isNear } from './destinations.ts';

describe('what is near', () => {
  it.each([
    ...['127.0.0.1', '127.255.255.255', '0.0.0.0', '169.254.169.254', '224.0.0.1', '255.255.255.255', '::', '::1'],
    ...['fe80::1', 'febf::1', 'ff02::1', 'fd00:ec2::254', '::ffff:127.0.0.1', '::ffff:169.254.169.254', 'no address'],
    ...['100.100.100.200', '168.63.129.16', '192.0.0.192', 'fd20:ce::254'],
    ...['64:ff9b::127.0.0.1', '64:ff9b::a9fe:a9fe', '64:ff9b::7f00:1'],
  ])('is %s', (address) => {
    expect(isNear(address)).toBe(true);
  });

  it.each([
    '128.0.0.1',
    '126.255.255.255',
    '169.253.255.255',
    '169.255.0.0',
    '10.0.0.1',
    '2001:db8::1',
    'fec0::1',
    'fd00:ec3::1',
    '100.100.100.201',
    '64:ff9b::8.8.8.8',
  ])('is not %s', (address) => {
    expect(isNear(address)).toBe(false);
  });

  it.each(['127.0.0.1', '::1', 'localhost', '127.1', '2130706433'])('is not reached as %s', async (host) => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const reached: unknown[] = [];
    server.on('connection', (socket) => reached.push(socket.destroy()));
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const socket = createReach()({ host, port });
    const [error] = await once(socket, 'error').catch((thrown: unknown) => [thrown]);
    server.close();
    expect(error).toMatchObject({ code: 'NEAR' });
    expect(reached).toEqual([]);
  });
});
