import { connect, createServer, type Socket } from 'node:net';
import type { FixtureTarget, ProtocolFixture, Told } from '../../../../../test/conformance/protocol-bed.ts';
import { eventually } from '../../../../../test/support/eventually.ts';
import { startPostgres, type TestPostgres } from '../../../../../test/support/postgres.ts';
import { encodeQuery, encodeStartup, Framer, readErrorFields } from '../../../../wire/postgres/index.ts';

let server: Promise<TestPostgres> | undefined;

/** What the conformance suite of protocols needs to know of this one. Its targets are a real server, behind a wire that is listened to. */
export const conformance: ProtocolFixture = {
  config: (port: number) => ({ host: '127.0.0.1', port, database: 'app', user: 'gate', password: 'env:PW' }),
  hello: encodeStartup(0, [['user', 'app']]),
  kindOf: (action, id) => (action === 'postgres:delete' ? 'denied' : id.split('/').at(-1)),
  request: (kind, name) => encodeQuery(TEXTS[kind](name)),
  createReader,
  async startTarget(heard, password) {
    server ??= startServer(password);
    const real = await server;
    return listenTo(real, (name, text) => {
      if (!text.includes('pg_sleep')) return heard(name);
      // A server that has not yet begun with a statement ignores what would cancel it.
      void eventually(`the server has begun with ${name}`, () => isRunning(real, name)).then(() => heard(name));
    });
  },
  async stop() {
    await (await server)?.stop();
  },
};

const TEXTS: Readonly<Record<Parameters<ProtocolFixture['request']>[0], (name: string) => string>> = {
  read: (name) => `select '${name}'`,
  change: (name) => `insert into notes (body) values ('${name}')`,
  denied: (name) => `delete from notes where body = '${name}'`,
  flood: (name) => `select repeat('x', 1000) from generate_series(1, 50000) where '${name}' <> ''`,
  bulky: (name) => `select repeat('x', 1000) from bulky where '${name}' <> ''`,
  heavy: (name) => `insert into heavy (body) values ('${name}'), ('${'x'.repeat(20_000)}')`,
  slow: (name) => `select pg_sleep(600) from slow where '${name}' <> ''`,
  rated: (name) => `update rated set body = '${name}'`,
  many: (name) => `select id from many where '${name}' <> ''`,
};

function startServer(password: string): Promise<TestPostgres> {
  return startPostgres({ users: { gate: password }, databases: ['app'] }).then(async (started) => {
    await started.query(
      `create table notes (body text); create table heavy (body text); create table rated (body text);
       create table many as select generate_series(1, 5) as id; create table bulky as select generate_series(1, 20) as id;
       create table slow as select 1 as id; grant all on notes, heavy, rated, many, bulky, slow to gate`,
      [],
      'app',
    );
    return started;
  });
}

function createReader(): (chunk: Buffer) => readonly Told[] {
  const framer = new Framer({ messageBytesMax: 1 << 20 });
  let isIn = false;
  return (chunk) => {
    framer.push(chunk);
    const told: Told[] = [];
    while (framer.next()) {
      const type = String.fromCharCode(framer.type);
      if (type === 'Z' && !isIn) told.push('hello');
      else if (type === 'D') told.push('item');
      else if (type === 'C') told.push('answer');
      else if (type === 'E') told.push(readErrorFields(framer).get('V') === 'FATAL' ? 'end' : 'refusal');
      if (type === 'Z') isIn = true;
    }
    return told;
  };
}

/** A wire to that server. */
async function listenTo(real: TestPostgres, heard: (name: string, text: string) => void): Promise<FixtureTarget> {
  const sockets = new Set<Socket>();
  let isHeld = false;
  const held: (() => void)[] = [];
  const wire = createServer({ noDelay: true }, (gateway) => {
    const target = connect(real.port, real.host);
    target.setNoDelay(true);
    for (const socket of [gateway, target]) {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    }
    let text = '';
    gateway.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      for (let found = NAME.exec(text); found !== null; found = NAME.exec(text)) {
        heard(found[1] ?? '', text);
        text = text.slice(found.index + found[0].length);
      }
      if (!target.write(chunk)) gateway.pause();
    });
    target.on('drain', () => gateway.resume());
    target.on('data', (chunk: Buffer) => {
      const pass = () => {
        if (!gateway.write(chunk)) target.pause();
      };
      if (isHeld) held.push(pass);
      else pass();
    });
    gateway.on('drain', () => target.resume());
    gateway.on('end', () => target.end());
    target.on('end', () => gateway.end());
    gateway.on('close', () => target.destroy());
    target.on('close', () => gateway.destroy());
  });
  await new Promise<void>((resolve) => wire.listen(0, '127.0.0.1', resolve));
  const address = wire.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    hold() {
      isHeld = true;
      return () => {
        isHeld = false;
        for (const pass of held.splice(0)) pass();
      };
    },
    lose() {
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => wire.close(() => resolve()));
    },
  };
}

async function isRunning(real: TestPostgres, name: string): Promise<boolean> {
  const running = await real.query(
    `select 1 from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() and query like $1`,
    [`%'${name}'%`],
    'app',
  );
  return running.length > 0;
}

/** What stands in a request's text behind it ends a name. */
const NAME = /'(op-\d+)'/;
