/**
 * Bytes without end, in the real gateway process: a gigabyte on offer from either side, messages that never become whole, and as many
 * idle sessions as one identity may have. What the process takes in memory stays in bounds, and everybody else is served.
 */
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';
import * as tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LOGIN } from '../../src/gateway/protocols/postgres/testing/fake-target.ts';
import { encodeStartup, readStartupPacket } from '../../src/wire/postgres/index.ts';
import { eventually } from '../support/eventually.ts';
import type { Daemon } from '../support/processes.ts';
import { message, openRawSession, query } from '../support/raw-session.ts';
import { GATEWAY_NAME, type Stack, startStack } from '../support/stack.ts';
import { directWay, startSvidFiles } from '../support/ways.ts';

let stack: Stack;
let svid: { folder: string; daemon: Daemon };
let relay: Relay;

beforeAll(async () => {
  relay = await startRelay();
  stack = await startStack({ store: 'sqlite', seed: SEED, target: { port: relay.port } });
  relay.realPort = stack.postgres.port;
  svid = await startSvidFiles(stack);
  await warmUp();
});
afterAll(async () => {
  for (const socket of open) socket.destroy();
  await svid?.daemon.end('SIGKILL');
  await stack?.stop();
  await relay?.close();
});

it('as many idle sessions as one identity may have cost little each, and the next is told why not', async () => {
  relay.fake = true;
  const before = residentMb();
  const idle: tls.TLSSocket[] = [];
  for (let i = 0; i < 50; i++) idle.push(...(await Promise.all(Array.from({ length: 20 }, () => connect()))));
  const each = ((residentMb() - before) * MB) / idle.length;
  expect(each).toBeLessThan(200_000);
  const refused = await connect({ started: false });
  const seen = text(refused);
  await eventually('the refusal', () => /53300[\s\S]*this identity has 1000 sessions/.test(seen()));
  expect(idle.filter((socket) => socket.destroyed)).toEqual([]);
  const heard = text(idle[500] ?? refused);
  idle[500]?.write(query('select 1'));
  await eventually('an answer', () => heard().includes('SELECT 0'));
  for (const socket of idle) socket.destroy();
  relay.fake = false;
  await eventually('all are gone', async () => (await metric('countersign_gateway_sessions')) === 0);
  await expectServed();
});

describe('a gigabyte on offer', () => {
  it('by the target to a client that does not read stays at the target', async () => {
    const before = residentMb();
    const client = await connect();
    client.write(query('select repeat($$x$$, 1000) from generate_series(1, 1000000)'));
    client.pause();
    const taken = await standstill(() => relay.bytesFromTarget);
    expect(taken).toBeLessThan(100 * MB);
    expect(residentMb() - before).toBeLessThan(100);
    await expectServed();
    client.destroy();
  });

  it('by a client to a target that does not read stays at the client', async () => {
    const before = residentMb();
    const client = await connect();
    client.write(query('copy slow from stdin'));
    await eventually('the target waits for the data', () => client.bytesRead > 0);
    const piece = Buffer.concat(Array.from({ length: 1_000 }, () => message('d', Buffer.from(`${'x'.repeat(999)}\n`))));
    const from = client.bytesWritten;
    const pour = () => {
      while (client.bytesWritten - from < 1_000 * MB && client.write(piece));
    };
    client.on('drain', pour);
    pour();
    const taken = await standstill(() => client.bytesWritten - client.writableLength - from);
    expect(taken).toBeLessThan(100 * MB);
    expect(residentMb() - before).toBeLessThan(100);
    await expectServed();
    client.destroy();
    // As with PostgreSQL itself, nobody sees that a client has gone before its data is taken.
    await stack.dba("select pg_terminate_backend(pid) from pg_stat_activity where query like 'copy slow%'");
  });

  it('in one statement is refused without being kept, on a connection that goes on', async () => {
    const before = residentMb();
    const client = await connect();
    const seen = text(client);
    const size = 1_000 * MB;
    const head = Buffer.from('5100000000', 'hex');
    head.writeInt32BE(size + 4, 1);
    client.write(head);
    const piece = Buffer.alloc(MB, 'x');
    let highest = 0;
    for (let sent = 0; sent < size && !client.destroyed; sent += piece.length) {
      if (client.write(piece)) continue;
      await roomOrEnd(client);
      highest = Math.max(highest, residentMb());
    }
    await eventually('the refusal', () => /54000[\s\S]*Z\0\0\0\x05I$/.test(seen()));
    client.write(query('select id from items'));
    await eventually('an answer', () => seen().includes('SELECT 1'));
    expect(highest - before).toBeLessThan(100);
    client.destroy();
    await expectServed();
  });

  it('in statements of 33 MiB is refused one by one, on a connection that goes on', async () => {
    const before = residentMb();
    const session = await openRawSession(directWay(stack, svid.folder, 'direct').door);
    const long = query(`/*${'x'.repeat(33 * MB)}*/ select 1`);
    for (let i = 0; i < 6; i++) {
      session.send(long);
      expect((await session.ready())[0]).toMatch(/^E:54000/);
    }
    session.send(query('select 1'));
    expect(await session.ready()).toEqual(['T', 'D:1', 'C:SELECT 1', 'Z:I']);
    expect(residentMb() - before).toBeLessThan(150);
    session.close();
  });
});

it('a client of the agent that ends its side right behind a statement is answered, as by PostgreSQL itself', async () => {
  const client = net.connect({ path: path.join(stack.socketDir, '.s.PGSQL.5432'), allowHalfOpen: true });
  open.add(client);
  const seen = text(client.on('error', () => {}));
  client.write(encodeStartup(0, [['user', 'workload']]));
  await eventually('the session', () => /Z\0\0\0\x05I$/.test(seen()));
  const ended = new Promise((resolve) => client.once('end', resolve));
  client.end(query('select count(*) from items where pg_sleep(0.2) is not null'));
  await ended;
  expect(seen()).toMatch(/SELECT 1\0Z\0\0\0\x05I$/);
  client.destroy();
});

it('messages that never become whole are let go beyond 512 MiB of them, those first that hold most', async () => {
  const before = residentMb();
  const modest = await connect();
  const clients = await Promise.all(Array.from({ length: 11 }, () => connect()));
  const seen = clients.map((client) => text(client));
  const begun = Buffer.from('4203ffff00', 'hex'); // Bound values of 64 MiB, nearly.
  modest.write(begun);
  modest.write(Buffer.alloc(MB));
  let highest = 0;
  for (const client of clients) {
    client.write(begun);
    for (let sent = 0; sent < 60 && !client.destroyed; sent++) {
      if (client.write(Buffer.alloc(MB))) continue;
      await roomOrEnd(client);
      highest = Math.max(highest, residentMb());
    }
  }
  await eventually('somebody is cut', () => seen.some((one) => one().includes('53200')));
  expect(highest - before).toBeLessThan(900);
  expect(seen.filter((one) => one().includes('53200')).length).toBeLessThanOrEqual(5);
  expect(modest.destroyed).toBe(false);
  await expectServed();
  for (const client of [...clients, modest]) client.destroy();
  await eventually('nothing is held any more', async () => (await metric('countersign_gateway_sessions')) === 0);
});

const open = new Set<net.Socket>();

/** A client at the gateway’s own door; its session has begun unless told otherwise. */
async function connect({ started = true } = {}): Promise<tls.TLSSocket> {
  const file = (name: string) => fs.readFileSync(`${svid.folder}/${name}`, 'utf8');
  const socket = tls.connect({
    ...{ host: '127.0.0.1', port: stack.folder.directPort, servername: GATEWAY_NAME, ALPNProtocols: ['postgresql'] },
    ...{ ca: file('bundle.pem'), cert: file('svid.pem'), key: file('key.pem') },
  });
  open.add(socket);
  socket.on('error', () => {}).on('close', () => open.delete(socket));
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  socket.write(encodeStartup(0, [['user', 'workload']]));
  if (!started) return socket;
  const seen = text(socket);
  await eventually('the session', () => /Z\0\0\0\x05I$/.test(seen()), { everyMs: 5 });
  socket.removeAllListeners('data');
  return socket;
}

/** Resolves when more may be written, or nothing more can be. */
function roomOrEnd(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      socket.off('drain', go).off('close', go);
      resolve();
    };
    socket.on('drain', go).on('close', go);
  });
}

/** What has come so far. */
function text(socket: net.Socket): () => string {
  let seen = '';
  socket.on('data', (bytes: Buffer) => {
    seen = (seen + bytes.toString('latin1')).slice(-10_000);
  });
  return () => seen;
}

/** What is loaded and compiled once is there before anything is measured: compiling the parser takes half a gigabyte for some seconds. */
async function warmUp(): Promise<void> {
  const session = await openRawSession(directWay(stack, svid.folder, 'direct').door);
  for (let i = 0; i < 50; i++) {
    session.send(query(`select id from items where id in (${Array.from({ length: 200 }, (_, n) => n * i).join()})`));
    await session.ready();
  }
  session.close();
  let [low, still] = [Number.MAX_SAFE_INTEGER, 0];
  await eventually(
    'a settled process',
    () => {
      const now = residentMb();
      still = now > low - 10 && now < low + 30 ? still + 1 : 0;
      low = still === 0 ? now : Math.min(low, now);
      return still >= 20;
    },
    { everyMs: 100, withinMs: 60_000 },
  );
}

/** Another client is served as ever. */
async function expectServed(): Promise<void> {
  const session = await openRawSession(directWay(stack, svid.folder, 'direct').door);
  session.send(query('select id from items'));
  expect(await session.ready()).toEqual(['T', 'D:1', 'C:SELECT 1', 'Z:I']);
  session.close();
}

/** What the gateway’s process has in memory. */
function residentMb(): number {
  const status = fs.readFileSync(`/proc/${stack.roles.gateway.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024;
}

async function metric(name: string): Promise<number> {
  const response = await fetch(`http://${stack.folder.http.gateway}/metrics`);
  return Number(new RegExp(`^${name} (\\S+)`, 'm').exec(await response.text())?.[1]);
}

/** What `bytes` is once it has stopped growing. */
async function standstill(bytes: () => number): Promise<number> {
  let [before, still] = [-1, 0];
  return await eventually(
    'a standstill',
    () => {
      const now = bytes();
      still = now === before && now > 0 ? still + 1 : 0;
      before = now;
      return still >= 10 && now;
    },
    { everyMs: 100, withinMs: 60_000 },
  );
}

interface Relay {
  readonly port: number;
  realPort: number;
  /** Logs clients in itself, without a server behind: PostgreSQL takes megabytes for each. */
  fake: boolean;
  bytesFromTarget: number;
  close(): Promise<void>;
}

/** Between gateway and target: counts what the target sends. */
async function startRelay(): Promise<Relay> {
  const server = net.createServer({ noDelay: true }, (near) => {
    open.add(near);
    near.on('error', () => {}).on('close', () => open.delete(near));
    near.once('data', (first: Buffer) => {
      const packet = readStartupPacket(first)?.packet;
      const isCatalog =
        packet?.kind === 'startup' && packet.parameters.get('application_name') === 'countersign catalog';
      if (made.fake && !isCatalog) {
        near.write(LOGIN);
        near.on('data', () => near.write(Buffer.concat([message('C', 'SELECT 0'), message('Z', Buffer.from('I'))])));
        return;
      }
      const far = net.connect({ port: made.realPort, host: '127.0.0.1', noDelay: true });
      open.add(far);
      far.on('error', () => near.destroy()).on('close', () => open.delete(far));
      near.on('close', () => far.destroy());
      far.write(first);
      far.on('data', (bytes: Buffer) => {
        made.bytesFromTarget += bytes.length;
      });
      near.pipe(far);
      far.pipe(near);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const made: Relay = {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    realPort: 0,
    fake: false,
    bytesFromTarget: 0,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
  return made;
}

const MB = 1024 * 1024;
const SEED = `create table items (id int); insert into items values (1);
create table slow (body text);
create function wait_long() returns trigger language plpgsql as 'begin perform pg_sleep(3600); return new; end';
create trigger wait_long before insert on slow for each row execute function wait_long();
grant all on items, slow to shop_app;`;
