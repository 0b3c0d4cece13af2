import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memberSchemas } from '../app/members.ts';
import { parseConfig } from '../config/index.ts';
import { createManualClock, createSeededRandom } from '../std/index.ts';
import type { CliContext } from './command.ts';
import { runChecks } from './doctor-checks.ts';

let directory: string;
let server: Server;
let answer: { status: number; body: string };

const context: CliContext = {
  say() {},
  emit() {},
  warn() {},
  json: false,
  env: {},
  configPath: 'countersign.yaml',
  configNamed: true,
  signal: new AbortController().signal,
  clock: createManualClock(0),
  random: createSeededRandom('doctor'),
  stdin: async () => Buffer.alloc(0),
};

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'countersign-'));
  server = createServer((_, response) => response.writeHead(answer.status).end(answer.body));
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
});
afterEach(async () => {
  await new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
  rmSync(directory, { recursive: true });
});

/** What is said of a gateway that answers `/ready` like that. */
async function checksOf(status: number, body: unknown) {
  answer = { status, body: typeof body === 'string' ? body : JSON.stringify(body) };
  const { port } = server.address() as AddressInfo; // Listening on TCP, so it is neither a path nor null.
  return gatewayChecks(port);
}

async function gatewayChecks(port: number) {
  const section = { dataDir: directory, server: '127.0.0.1:1', http: `127.0.0.1:${port}` };
  const text = JSON.stringify({ trustDomain: 'example.org', gateway: section });
  const config = parseConfig({ file: 'countersign.yaml', text, members: memberSchemas, env: {} });
  const checks = await runChecks(context, config);
  return checks.filter(({ what }) => what === 'gateway ready' || what.startsWith('target'));
}

const problem = {
  what: 'target shop',
  found: "can't listen on 127.0.0.1 port 6432: address already in use",
  remedy: 'Choose another address.',
};

describe('what a role says of itself', () => {
  it('is good when it is ready', async () => {
    expect(await checksOf(200, { status: 'ready' })).toMatchObject([{ what: 'gateway ready', state: 'good' }]);
  });

  it('is a failed check for each problem, though it is ready', async () => {
    const other = { ...problem, what: 'target orders' };
    expect(await checksOf(200, { status: 'ready', problems: [problem, other] })).toMatchObject([
      { what: 'gateway ready', state: 'good' },
      { ...problem, state: 'wrong' },
      { ...other, state: 'wrong' },
    ]);
  });

  it('is odd for a problem that is a warning', async () => {
    const checks = await checksOf(200, { status: 'ready', problems: [{ ...problem, severity: 'warning' }] });
    expect(checks).toEqual([
      { what: 'gateway ready', state: 'good', found: expect.any(String) },
      { ...problem, state: 'odd' },
    ]);
  });

  it('is a failed check for why it is not ready, and one for each problem', async () => {
    expect(await checksOf(503, { status: 'not ready', reasons: ['a', 'b'], problems: [problem] })).toMatchObject([
      { what: 'gateway ready', state: 'wrong', found: 'a; b' },
      { ...problem, state: 'wrong' },
    ]);
  });

  it('names the entry that a gateway without an identity lacks, and the log for all else', async () => {
    const [of] = await checksOf(503, { reasons: ['no identity: does the agent at /a know this process?'] });
    expect(of?.remedy).toContain('unix:user:NAME');
    const [other] = await checksOf(503, { reasons: ['the ledger is full'] });
    expect(other?.remedy).toBe('see the log of the gateway');
  });

  it('is told with the code of the system when nobody answers', async () => {
    const { port } = server.address() as AddressInfo; // As above.
    await new Promise((resolve) => server.close(resolve));
    const [check] = await gatewayChecks(port);
    expect(check).toMatchObject({ state: 'wrong', found: `127.0.0.1:${port} does not answer: ECONNREFUSED` });
  });

  it.each([
    ['reasons that are no texts', { reasons: [{}] }],
    ['problems without a remedy', { problems: [{ what: 'target shop', found: 'it is away' }] }],
    ['no object', null],
  ])('is not believed where it has another form: %s', async (_, body) => {
    expect(await checksOf(503, body)).toMatchObject([{ what: 'gateway ready', state: 'wrong', found: 'status 503' }]);
  });

  it('is wrong when something else answers there', async () => {
    expect(await checksOf(200, '<html>')).toMatchObject([{ what: 'gateway ready', state: 'wrong' }]);
  });
});
