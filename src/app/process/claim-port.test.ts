import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { claimPort } from './claim-port.ts';

// Goal: a port has one gateway of several processes, whoever came first, and none that ended keeps it.

let port: number;
const closing: (() => void)[] = [];

beforeEach(async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  port = typeof address === 'object' && address !== null ? address.port : 0;
  server.close();
  await once(server, 'close');
});
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

function claim(address = '127.0.0.1'): () => void {
  const release = claimPort({ address, port });
  closing.push(release);
  return () => {
    closing.splice(closing.indexOf(release), 1);
    release();
  };
}

async function listen(options: { reusePort?: boolean; exclusive?: boolean } = { reusePort: true }): Promise<Server> {
  const server = createServer((socket) => socket.end('here')).listen({ host: '127.0.0.1', port, ...options });
  await once(server, 'listening');
  closing.push(() => server.close());
  return server;
}

async function answer(): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  try {
    const [data] = await once(socket, 'data');
    return String(data);
  } finally {
    socket.destroy();
  }
}

describe.runIf(process.platform === 'linux')('a port that is claimed', () => {
  it('is shared by who asks for that, of whom each that comes is heard, and by nobody else', async () => {
    claim();
    await expect(answer()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await expect(listen({ exclusive: true })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await listen();
    await listen();
    for (let n = 0; n < 10; n++) expect(await answer()).toBe('here');
  });

  it('can not be claimed again, before somebody listens, while they do and when they do no more', async () => {
    claim();
    expect(() => claim()).toThrow(/address already in use/);
    const server = await listen();
    expect(() => claim()).toThrow(/address already in use/);
    server.close();
    await once(server, 'close');
    expect(() => claim()).toThrow(/address already in use/);
    await listen();
  });

  it('is claimed at each address by itself, and at all of them against each', () => {
    claim();
    claim('127.0.0.2');
    for (const all of ['0.0.0.0', '::']) expect(() => claim(all), all).toThrow(/address already in use/);
    claim('::1');
    expect(() => claim('::1')).toThrow(/address already in use/);
  });

  it('is free once it is given back, whatever is left of connections there', async () => {
    const release = claim();
    const server = await listen();
    expect(await answer()).toBe('here');
    server.close();
    await once(server, 'close');
    release();
    claim();
  });

  it('is free once the process that had it is killed', async () => {
    const code = `import(${JSON.stringify(new URL('./claim-port.ts', import.meta.url).href)}).then(({ claimPort }) => {
      claimPort({ address: '127.0.0.1', port: ${port} });
      console.log('claimed');
      setInterval(() => {}, 1e6);
    });`;
    const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    expect(() => claim()).toThrow(/address already in use/);
    child.kill('SIGKILL');
    await once(child, 'exit');
    claim();
  });

  it('has one of all that come at once', async () => {
    const code = `import(${JSON.stringify(new URL('./claim-port.ts', import.meta.url).href)}).then(({ claimPort }) => {
      process.on('message', () => {
        try {
          claimPort({ address: '127.0.0.1', port: ${port} });
          process.send('claimed');
        } catch ({ message }) {
          process.send(message);
        }
      });
      process.send('ready');
    });`;
    const children = Array.from({ length: 4 }, () =>
      spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }),
    );
    try {
      const said = () =>
        Promise.all(children.map((child) => once(child, 'message').then(([message]) => String(message))));
      await said();
      const answers = said();
      for (const child of children) child.send('now');
      expect((await answers).toSorted()).toEqual([...Array(3).fill('address already in use'), 'claimed']);
    } finally {
      for (const child of children) child.kill('SIGKILL');
    }
  });

  it('is not taken from who listens there, for itself or as one of several', async () => {
    for (const options of [{ exclusive: true }, { reusePort: true }]) {
      const server = await listen(options);
      expect(() => claim()).toThrow(/address already in use/);
      server.close();
      await once(server, 'close');
    }
  });

  it.each([
    ['192.0.2.1', /address not available|cannot assign/i],
    ['localhost', /no IP address/],
  ])('is one of this machine: %s', (address, problem) => {
    expect(() => claim(address)).toThrow(problem);
  });
});
