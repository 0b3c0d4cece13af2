/**
 * Certificates of half a minute, connections that are kept, a stream of events that does not end: what is renewed cuts nothing that still has a good
 * certificate, and what ends, ends for a reason that its client is told, or sees.
 */
import { X509Certificate } from 'node:crypto';
import * as fs from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';
import type { AddressInfo } from 'node:net';
import * as path from 'node:path';
import * as tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { eventually } from '../support/eventually.ts';
import { freePorts } from '../support/processes.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { startSvidFiles, svidFiles } from '../support/ways.ts';

const LIFE = '30s';
/** A session that is amid an answer has as long beyond its certificate, and is looked at each second. */
const GRACE_MS = 30_000;
const POLICY =
  '@id("web") permit(principal == Identity::"spiffe://example.org/web", action, resource in Target::"api");';

let api: http.Server;
let stack: Stack;
let port: number;
let svid: Awaited<ReturnType<typeof startSvidFiles>>;

beforeAll(async () => {
  api = createApi();
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  [port = 0] = await freePorts(1);
  stack = await startStack({ policies: { mine: POLICY }, settings: { server: { svid: { x509Ttl: LIFE } } } });
  const spec = { protocol: 'http', url: `http://127.0.0.1:${(api.address() as AddressInfo).port}` };
  const target = { kind: 'Target', name: 'api', spec: { ...spec, listen: { host: '127.0.0.1', port } } };
  const applied = await stack.apply({ 'api.yaml': stringify(target) }, { prune: false });
  expect(applied.code, applied.stderr).toBe(0);
  svid = await startSvidFiles(stack);
  await eventually('the door serves', async () => (await open().get()).status === 200);
});
afterAll(async () => {
  await svid?.daemon.end('SIGTERM');
  await stack?.stop();
  api?.closeAllConnections();
  api?.close();
});

const own = () => new X509Certificate(fs.readFileSync(path.join(svid.folder, 'svid.pem')));
const sessionsOf = async (kind: string) =>
  (await stack.ledger()).filter((entry) => entry.kind === kind && entry.target === 'api').length;

/** A client that keeps one connection, with the certificate of now. */
function open() {
  const proven = own();
  const agent = new https.Agent({ ...svidFiles(svid.folder), keepAlive: true, maxSockets: 1, maxCachedSessions: 0 });
  const sockets = new Set<tls.TLSSocket>();
  const get = () =>
    new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
      const request = https.get({ agent, host: '127.0.0.1', port, path: '/v1/one' }, (response) => {
        let text = '';
        response
          .setEncoding('utf8')
          .on('data', (more: string) => {
            text += more;
          })
          .on('end', () => resolve({ status: response.statusCode, text }))
          .on('error', reject);
      });
      request.on('error', reject);
      request.on('socket', (socket) => sockets.add(socket as tls.TLSSocket));
    });
  return { get, proven, sockets, expiresMs: Date.parse(proven.validTo), close: () => agent.destroy() };
}

/** A stream of events, an event every fifth of a second. */
function listen() {
  const proven = own();
  const state = { status: 0, events: 0, isOver: false, isWhole: false, overAtMs: 0 };
  const over = () => {
    if (state.isOver) return;
    [state.isOver, state.overAtMs] = [true, Date.now()];
  };
  const options = { ...svidFiles(svid.folder), agent: false as const, host: '127.0.0.1', port, path: '/v1/events' };
  const request = https.get(options, (response) => {
    state.status = response.statusCode ?? 0;
    response
      .on('data', () => state.events++)
      .on('end', () => {
        state.isWhole = response.complete;
        over();
      })
      .on('error', () => {})
      .on('close', over);
  });
  request.on('error', over);
  return { state, proven, expiresMs: Date.parse(proven.validTo), close: () => request.destroy() };
}

const runs = ({ state }: ReturnType<typeof listen>) => {
  const { events } = state;
  return eventually('more events come', () => state.events > events || state.isOver);
};

/** The certificate that a new connection is shown. */
function shown(): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ ...svidFiles(svid.folder), host: '127.0.0.1', port }, () => {
      resolve(socket.getPeerX509Certificate()?.serialNumber ?? '');
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

describe('certificates of half a minute', () => {
  it('are renewed on both sides under a kept connection and a stream, which notice nothing', async () => {
    const kept = open();
    const events = listen();
    await runs(events);
    const before = { gateway: await shown(), own: kept.proven.serialNumber };
    const opened = await sessionsOf('session-open');
    await eventually('both have been renewed', async () => {
      expect((await kept.get()).status).toBe(200);
      return (await shown()) !== before.gateway && own().serialNumber !== before.own;
    });
    expect(Date.now()).toBeLessThan(kept.expiresMs);
    expect((await kept.get()).status).toBe(200);
    await runs(events);
    expect(events.state.isOver).toBe(false);
    expect(kept.sockets.size).toBe(1);
    // `shown` asks for nothing, and opens a session all the same.
    expect(await sessionsOf('session-open')).toBeGreaterThanOrEqual(opened);
    kept.close();
    events.close();
  });

  it('end a kept connection between two requests, and the next request goes by a new one', async () => {
    const kept = open();
    expect((await kept.get()).status).toBe(200);
    const [first] = [...kept.sockets];
    await eventually('it is closed', () => first?.destroyed === true);
    expect(Date.now()).toBeGreaterThanOrEqual(kept.expiresMs);
    kept.close();
    const again = open(); // With the files of now.
    expect((await again.get()).status).toBe(200);
    again.close();
  });

  it('end a stream half a minute later, which is seen to be no whole one, and others go on', async () => {
    const events = listen();
    await runs(events);
    await eventually('it outlasts its certificate', () => Date.now() > events.expiresMs + 2_000);
    await runs(events);
    const later = listen();
    await runs(later);
    await eventually('it is over', () => events.state.isOver, { withinMs: 2 * GRACE_MS });
    expect(events.state).toMatchObject({ status: 200, isWhole: false });
    expect(events.state.overAtMs).toBeGreaterThanOrEqual(events.expiresMs + GRACE_MS - 1_000);
    await runs(later);
    expect(later.state.isOver).toBe(false);
    later.close();
  });

  it('end a connection that has asked for nothing with a word on why', async () => {
    const socket = tls.connect({ ...svidFiles(svid.folder), host: '127.0.0.1', port });
    let text = '';
    let isOver = false;
    socket
      .on('error', () => {})
      .on('data', (more: Buffer) => {
        text += more.toString('latin1');
      })
      .on('close', () => {
        isOver = true;
      });
    await eventually('it is closed', () => isOver);
    expect(text).toMatch(/^HTTP\/1\.1 503 /);
    expect(text).toContain('the SVID of this session has expired; connect again');
  });
});

describe('a stream of events', () => {
  it('ends when policy forbids it, and its client is told when it asks again', async () => {
    const events = listen();
    await runs(events);
    const kept = open();
    const forbid = '@id("no") forbid(principal, action == Action::"http:get", resource in Target::"api");';
    const applied = await stack.apply({ 'no.cedar': forbid }, { prune: false });
    expect(applied.code, applied.stderr).toBe(0);
    await eventually('it is over', () => events.state.isOver);
    expect(Date.now()).toBeLessThan(events.expiresMs + GRACE_MS - 1_000); // Not by its certificate.
    expect(events.state.isWhole).toBe(false);
    const { status, text } = await kept.get();
    expect([status, text]).toEqual([403, expect.stringContaining('"reason":"forbidden"')]);
    kept.close();
    const none = '@id("no") forbid(principal == Identity::"spiffe://example.org/none", action, resource);';
    await stack.apply({ 'no.cedar': none }, { prune: false });
    await eventually('it may again', async () => (await open().get()).status === 200);
  });

  it('ends with its certificate when its identity’s entry is deleted, and nobody comes by that any more', async () => {
    const events = listen();
    await runs(events);
    const { stdout } = await stack.cli(['entry', 'list', '--json']);
    const entries = JSON.parse(stdout) as { id: string; spiffeId: string }[];
    for (const { id, spiffeId } of entries)
      if (spiffeId === 'spiffe://example.org/web') await stack.cli(['entry', 'delete', id]);
    const { expiresMs } = open();
    await eventually('it is over', () => events.state.isOver, { withinMs: 3 * GRACE_MS });
    expect(events.state.overAtMs).toBeLessThanOrEqual(events.expiresMs + GRACE_MS + 5_000);
    await eventually('its last certificate has expired', () => Date.now() > expiresMs);
    const late = await open()
      .get()
      .catch((error: NodeJS.ErrnoException) => ({ status: error.code, text: '' }));
    expect(late.status).not.toBe(200);
  });
});

function createApi(): http.Server {
  return http.createServer((request, response) => {
    if (request.url !== '/v1/events') return void response.end('one');
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const timer = setInterval(() => response.write('data: {"n":1}\n\n'), 200);
    response.on('close', () => clearInterval(timer));
  });
}
