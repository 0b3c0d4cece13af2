import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memberSchemas } from '../../app/members.ts';
import { parseConfig } from '../../config/index.ts';
import { createManualClock, createSeededRandom } from '../../std/index.ts';
import type { CliContext } from '../command.ts';
import { runChecks } from './run-checks.ts';

let directory: string;
let server: Server;
let answer: { status: number; body: string };

const context: CliContext = {
  say() {},
  emit() {},
  warn() {},
  json: false,
  columns: 80,
  env: {},
  configPath: 'countersign.yaml',
  configNamed: true,
  commands: [],
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
  const checks = await allChecks(port);
  return checks.filter(({ what }) => what === 'gateway ready' || what.startsWith('target'));
}

async function allChecks(port: number) {
  const section = { dataDir: directory, server: '127.0.0.1:1', http: `127.0.0.1:${port}` };
  const text = JSON.stringify({ trustDomain: 'example.org', gateway: section });
  const config = parseConfig({ file: 'countersign.yaml', text, members: memberSchemas, env: {} });
  return runChecks(context, config);
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

  it('leaves the remedy to the lines below it where there are such, and names the log else', async () => {
    const reason = {
      condition: 'identity',
      what: 'identity',
      severity: 'failed',
      found: 'no identity',
      remedy: 'Apply.',
    };
    answer = { status: 503, body: JSON.stringify({ reasons: ['no identity'], problems: [reason] }) };
    const { port } = server.address() as AddressInfo; // Listening on TCP, so it is neither a path nor null.
    const told = await allChecks(port);
    expect(told.find(({ what }) => what === 'gateway ready')?.remedy).toBe('see the lines below');
    expect(told.find(({ what }) => what === 'gateway identity')).toEqual({
      ...{ what: 'gateway identity', state: 'wrong', found: 'no identity', remedy: 'Apply.' },
    });
    const [other] = await checksOf(503, { reasons: ['the ledger is full'] });
    expect(other?.remedy).toBe('see the log of the gateway');
  });

  it('is told with the code of the system when nobody answers', async () => {
    const { port } = server.address() as AddressInfo; // As above.
    await new Promise((resolve) => server.close(resolve));
    const [check] = await gatewayChecks(port);
    expect(check).toMatchObject({ state: 'wrong', found: `127.0.0.1:${port} does not answer: ECONNREFUSED` });
  });

  it('is told with what is in its way, when something else has its port', async () => {
    const { port } = server.address() as AddressInfo; // As above.
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen({ host: '127.0.0.1', port: 0 }, resolve));
    const http = `127.0.0.1:${(closed.address() as AddressInfo).port}`; // As above.
    await new Promise((resolve) => closed.close(resolve));
    const section = { dataDir: directory, server: '127.0.0.1:1', listen: `127.0.0.1:${port}`, http };
    const text = JSON.stringify({ trustDomain: 'example.org', gateway: section });
    const config = parseConfig({ file: 'countersign.yaml', text, members: memberSchemas, env: {} });
    const check = (await runChecks(context, config)).find(({ what }) => what === 'gateway port');
    expect(check).toMatchObject({ state: 'wrong', found: expect.stringContaining(`127.0.0.1:${port} is in use`) });
    expect(check?.remedy).toContain('gateway.listen');
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
