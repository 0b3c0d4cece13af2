/**
 * Two APIs at one port of a gateway of two processes: whichever of them has a connection, TLS says which API is meant, each shows a certificate of its
 * own, and a token is for one of them alone.
 */
import * as fs from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import type { AddressInfo } from 'node:net';
import * as path from 'node:path';
import * as tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { createTestAuthority } from '../../src/gateway/testing/test-authority.ts';
import { encodePem } from '../../src/wire/x509/index.ts';
import { eventually } from '../support/eventually.ts';
import { freePorts } from '../support/processes.ts';
import { type Stack, startStack } from '../support/stack.ts';

const NAMES = ['orders', 'books'] as const;
type Name = (typeof NAMES)[number];
const POLICY = NAMES.map(
  (name) =>
    `@id("${name}") permit(principal == Identity::"spiffe://example.org/web", action, resource in Target::"${name}");`,
).join('\n');
const START_MS_MAX = 60_000;
const web = createTestAuthority('web.test', Date.now());
const root = encodePem('CERTIFICATE', web.rootDer);

let apis: Record<Name, http.Server>;
let stack: Stack;
let port: number;
let files: string;
let tokens: Record<Name, string>;

beforeAll(async () => {
  apis = { orders: await startApi('orders'), books: await startApi('books') };
  [port = 0] = await freePorts(1);
  stack = await startStack({
    policies: { mine: POLICY },
    settings: { gateway: { workers: 2, drainDelay: '2s' } },
  });
  files = stack.folder.privateFolder('door', stack.users.gateway);
  stack.canaries.allowTraces(files); // Keys that nobody else may read are to be there.
  for (const name of NAMES) put(name);
  const applied = await stack.apply({ 'apis.yaml': NAMES.map(target).join('---\n') }, { prune: false });
  expect(applied.code, applied.stderr).toBe(0);
  tokens = { orders: await tokenFor('orders'), books: await tokenFor('books') };
  await eventually('both are served', async () => {
    for (const name of NAMES) expect(await ask(name, tokens[name])).toBe(`200 of ${name}`);
    return true;
  });
});
afterAll(async () => {
  await stack?.stop();
  for (const api of Object.values(apis ?? {})) {
    api.closeAllConnections();
    api.close();
  }
});

async function startApi(name: Name): Promise<http.Server> {
  const server = http.createServer((_request, response) => void response.end(`of ${name}`));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

/** A certificate for that API's host, with its key. */
function put(name: Name): void {
  const { certPem, keyPem } = web.issue('/server', 86_400, [`${name}.test`]);
  stack.folder.privateFile(path.join(files, `${name}.key`), keyPem, stack.users.gateway);
  stack.folder.privateFile(path.join(files, `${name}.pem`), certPem, stack.users.gateway);
}

function target(name: Name): string {
  const listen = {
    ...{ host: '127.0.0.1', port, tokens: true },
    ...{ certificate: `file:${path.join(files, `${name}.pem`)}`, key: `file:${path.join(files, `${name}.key`)}` },
  };
  const url = `http://127.0.0.1:${(apis[name].address() as AddressInfo).port}`;
  return stringify({ kind: 'Target', name, spec: { protocol: 'http', url, hosts: [`${name}.test`], listen } });
}

async function tokenFor(name: Name): Promise<string> {
  const args = ['svid', 'token', '--audience', `countersign:${name}`, '--workload-api', stack.folder.workloadApi];
  const { stdout, stderr } = await stack.cli(args, { user: stack.users.web });
  expect(stdout.split('.'), stderr).toHaveLength(3);
  return stdout.trim();
}

/** One request on a connection of its own, by a client that knows the web's root alone: status and text. */
function ask(name: Name, token: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      ...{ host: '127.0.0.1', port, path: '/', ca: root, servername: `${name}.test`, agent: false as const },
      headers: { host: `${name}.test`, authorization: `Bearer ${token}` },
    };
    https
      .get(options, (response) => {
        let text = '';
        response
          .setEncoding('utf8')
          .on('data', (more: string) => {
            text += more;
          })
          .on('end', () => resolve(`${response.statusCode} ${text}`));
      })
      .on('error', reject);
  });
}

/** The serial of what is shown for that host. */
function shown(name: Name): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: '127.0.0.1', port, ca: root, servername: `${name}.test` }, () => {
      resolve(socket.getPeerX509Certificate()?.serialNumber);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

/** Which worker has served which API, since the gateway was started. */
function served(): Set<string> {
  const lines = stack.roles.gateway.runLogs().split('\n');
  return new Set(
    lines.flatMap((line) => {
      if (!line.includes('"gateway.session.opened"')) return [];
      const { worker, target: api } = JSON.parse(line) as { worker: number; target: string };
      return [`${api} by ${worker}`];
    }),
  );
}

describe('two APIs at one port of two processes', () => {
  it('are told apart wherever a connection comes to, and a token is for one of them', async () => {
    const all = ['books by 1', 'books by 2', 'orders by 1', 'orders by 2'];
    await eventually('each of both has served each', async () => {
      for (const name of NAMES) expect(await ask(name, tokens[name])).toBe(`200 of ${name}`);
      return all.every((one) => served().has(one));
    });
    for (let n = 0; n < 10; n++) {
      expect(await ask('orders', tokens.books)).toMatch(/^401 .*the token is for another audience/);
      expect(await ask('books', tokens.orders)).toMatch(/^401 .*the token is for another audience/);
    }
  });

  it('show a certificate that was renewed at both of them', async () => {
    const before = await shown('orders');
    put('orders');
    await eventually('all that is shown is the new one', async () => {
      const all = new Set(await Promise.all(Array.from({ length: 20 }, () => shown('orders'))));
      return all.size === 1 && !all.has(before);
    });
    expect(await ask('books', tokens.books)).toBe('200 of books');
  });

  it('are served on while one of them is killed, and by both when it is there again', async () => {
    const lines = stack.roles.gateway.runLogs().split('\n');
    const running = lines.filter((line) => line.includes('"app.worker.running"')).map((line) => JSON.parse(line));
    const { pid } = running.findLast(({ worker }) => worker === 2) as { pid: number };
    process.kill(pid, 'SIGKILL');
    await eventually('both are served', async () => {
      for (const name of NAMES) expect(await ask(name, tokens[name])).toBe(`200 of ${name}`);
      return true;
    });
    await stack.roles.gateway.ready(START_MS_MAX);
    for (let n = 0; n < 20; n++) for (const name of NAMES) expect(await ask(name, tokens[name])).toBe(`200 of ${name}`);
  });

  it('tell of a certificate that is broken, and show the one before', async () => {
    fs.writeFileSync(path.join(files, 'books.key'), 'no key');
    await eventually('the doctor says so', async () => {
      const { stdout } = await stack.cli(['doctor']);
      return /target books.*the door shows the certificate from before: the key file is no PEM/s.test(
        stdout.replace(/\s+/g, ' '),
      );
    });
    expect(await ask('books', tokens.books)).toBe('200 of books');
  });
});
