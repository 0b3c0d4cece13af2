// Goal: as PostgreSQL does, the connection of a request to cancel is closed once the server was told. Drivers wait for that before they send the next
// statement, which would be cancelled in the place of the one that was meant.
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../../../../../test/support/eventually.ts';
import { openRawClient } from '../../../../../test/support/raw-session.ts';
import { encodeCancelRequest, encodeStartup, readStartupPacket } from '../../../../wire/postgres/index.ts';
import { type AppDatabase, startAppDatabase } from '../testing/app-database.ts';
import { startTarget } from '../testing/harness.ts';

let server: AppDatabase;
beforeAll(async () => {
  server = await startAppDatabase('select 1');
});
afterAll(() => server?.stop());

/** A way to the server on which requests to cancel get stuck. */
async function openSlowWay(stuck: (request: Socket) => void) {
  const way = createServer((near) => {
    near.on('error', () => {});
    near.once('data', (first: Buffer) => {
      if (readStartupPacket(first)?.packet.kind === 'cancel') return stuck(near);
      const far = connect(server.port, server.host).on('error', () => near.destroy());
      far.write(first);
      near.pipe(far).pipe(near);
    });
  });
  await new Promise<void>((resolve) => way.listen(0, '127.0.0.1', resolve));
  const address = way.address();
  return { port: typeof address === 'object' && address !== null ? address.port : 0, close: () => way.close() };
}

test('whoever cancels is let go when the server has let go', async () => {
  const told: Socket[] = [];
  const way = await openSlowWay((request) => void told.push(request));
  const { env, config } = server.target;
  const gate = await startTarget({ config: { ...config, port: way.port }, env });
  try {
    const client = await openRawClient(gate.port, { start: false });
    client.send(encodeStartup(0, [['user', 'web']]));
    const [, pid = '', key = ''] = (await client.ready()).find((one) => one.startsWith('K:'))?.split(':') ?? [];
    const other = await openRawClient(gate.port, { start: false });
    let isOver = false;
    const over = other.end().then(() => {
      isOver = true;
    });
    other.send(encodeCancelRequest(Number(pid), Buffer.from(key, 'hex')));
    await eventually('the server is told', () => told.length === 1);
    // There and back on another connection: a close that was sent before would be here by now.
    const third = await openRawClient(gate.port);
    expect(isOver).toBe(false);
    for (const request of told) request.destroy();
    await over;
    for (const session of [client, other, third]) session.close();
  } finally {
    await gate.close();
    way.close();
  }
});
