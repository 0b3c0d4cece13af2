import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../../test/support/eventually.ts';
import { startTestRest, type TestRest } from '../../api/testing/test-rest.ts';
import { testLog } from '../../records/testing/log-fixture.ts';
import { createSystemClock, createSystemRandom } from '../../std/index.ts';
import type { CliCommand, CliContext } from '../command.ts';
import { command as followRecord } from '../commands/record/follow.ts';
import { command as followSessions } from '../commands/session/follow.ts';

// Goal: whoever follows sees all that comes, once, whatever becomes of the server and the way to it, until they have had enough.

const OWNER = 'spiffe://example.org/gateway';
let server: TestRest;
let folder: string;
let stop: AbortController;
beforeEach(async () => {
  server = await startTestRest();
  folder = mkdtempSync(join(tmpdir(), 'follow-'));
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** A way to the server that can be cut. */
function openWay() {
  const path = join(folder, 'api.sock');
  const sockets = new Set<Socket>();
  let way: Server | undefined;
  let heard = 0;
  return {
    path,
    heard: () => heard,
    open: () =>
      new Promise<void>((resolve) => {
        way = createServer((socket) => {
          const on = connect(server.unix);
          for (const one of [socket, on]) sockets.add(one.on('error', () => {}));
          on.on('data', (bytes) => {
            heard += bytes.length;
          });
          socket.pipe(on).pipe(socket);
        }).listen(path, resolve);
      }),
    cut: () =>
      new Promise<void>((resolve) => {
        for (const socket of sockets) socket.destroy();
        way?.close(() => resolve());
      }),
  };
}

function run(command: CliCommand, options: object) {
  const seen: { values: Record<string, unknown>[]; texts: string[]; warned: string[] } = {
    values: [],
    texts: [],
    warned: [],
  };
  const context: CliContext = {
    ...{ say: () => {}, json: true, env: {}, configPath: '/nowhere', configNamed: false, commands: [], columns: 80 },
    emit(value, human) {
      seen.values.push(JSON.parse(JSON.stringify(value)));
      seen.texts.push(human());
    },
    warn: (line) => void seen.warned.push(line),
    ...{ signal: stop.signal, clock: createSystemClock(), random: createSystemRandom() },
    stdin: async () => Buffer.alloc(0),
  };
  return { ...seen, done: command.run(context, { args: [], options: { ...options } }) };
}

const log = testLog(40);
async function ship(first: number, end: number) {
  const shipment = await server.records.open({ ...log, owner: OWNER });
  await shipment.take(log.batch(first, end, first));
}

describe('record follow', () => {
  it('shows what comes, goes on where it was when the server was away, and ends in good order', async () => {
    const way = openWay();
    await way.open();
    const following = run(followRecord, { apiSocket: way.path, target: 'db' });
    const seqs = () => following.values.map(({ seq }) => seq);
    const until = (count: number) =>
      eventually(`${count} are shown`, async () => {
        await server.clock.advance(500);
        return seqs().length >= count;
      });
    await eventually('it follows', () => way.heard() > 300);
    await way.cut();
    await eventually('it says so', () => following.warned.length === 1);
    // Nothing was told yet, and nothing is lost.
    await ship(0, 5);
    await way.open();
    await until(5);
    await ship(5, 9);
    await until(9);
    await way.cut();
    await ship(9, 20);
    await way.open();
    await until(20);
    expect(seqs()).toEqual(Array.from({ length: 20 }, (_, n) => n));
    expect(following.values[0]).toMatchObject({ log: 1, target: 'db' });
    expect(following.texts[0]).toContain('1/0');
    expect(following.warned[0]).toContain('the server is away');
    expect(following.warned[1]).toBe('the server is back');
    stop.abort();
    expect(await following.done).toBe(0);
  });

  it('fails where there is no server, and where what is asked is wrong', async () => {
    await expect(run(followRecord, { apiSocket: join(folder, 'none') }).done).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(run(followRecord, { apiSocket: server.unix, rowsMin: 'x' }).done).rejects.toThrow('--rows-min');
    await expect(run(followSessions, { apiSocket: server.unix, gateway: 'nobody:1' }).done).rejects.toMatchObject({
      status: 400,
    });
  });
});
