import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { commandIn } from './nats-command.ts';

const SECRET = 'canary-of-the-suite';

/** What the suite of the family must know of this sink: a real server, its data kept between an end and a start. */
export const conformance = {
  /** Why it can't be tried here. */
  lacks: commandIn() === undefined ? 'there is no nats-server' : undefined,
  async open() {
    const folder = mkdtempSync(join(tmpdir(), 'cs-nats-'));
    const port = await freePort();
    let server: ChildProcess | undefined;
    const start = async () => {
      const args = ['-a', '127.0.0.1', '-p', `${port}`, '-js', '-sd', folder, '--auth', SECRET];
      server = spawn(commandIn() ?? '', args, { stdio: 'ignore' });
      await opened(port);
    };
    const stop = async () => {
      if (server?.exitCode !== null || server.signalCode !== null) return;
      const ended = once(server, 'exit');
      server.kill('SIGKILL');
      await ended;
    };
    await start();
    const open = () => connect({ servers: `127.0.0.1:${port}`, token: SECRET });
    const setup = await open();
    await (await jetstreamManager(setup)).streams.add({ name: 'audit', subjects: ['audit.>'] });
    await setup.close();
    return {
      config: { servers: [`nats://127.0.0.1:${port}`], subject: 'audit.countersign', token: 'env:TOKEN' },
      secrets: { 'env:TOKEN': SECRET },
      async taken(): Promise<readonly string[]> {
        const connection = await open();
        const { state } = await (await jetstreamManager(connection)).streams.info('audit');
        const stream = await jetstream(connection).streams.get('audit');
        const ids: string[] = [];
        for (let seq = state.first_seq; seq <= state.last_seq && state.messages > 0; seq++)
          ids.push((await stream.getMessage({ seq }))?.header.get('Nats-Msg-Id') ?? '');
        await connection.close();
        return ids;
      },
      breakIt: stop,
      mendIt: start,
      /** It refuses by size alone. */
      refuse: undefined,
      async close() {
        await stop();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  },
};

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject).listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/** Resolves once JetStream answers there. */
async function opened(port: number): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      const connection = await connect({ servers: `127.0.0.1:${port}`, token: SECRET, reconnect: false });
      await jetstreamManager(connection);
      return await connection.close();
    } catch (error) {
      if (tries > 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
