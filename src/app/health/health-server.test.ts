import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSilentLog } from '../../std/index.ts';
import type { Finding } from './conditions.ts';
import { createHealthServer, type HealthServer } from './health-server.ts';

const SINCE_MS = Date.UTC(2027, 0, 1);
const CLOSED_DOOR: Finding = {
  ...{ condition: 'targets', severity: 'degraded', sinceMs: SINCE_MS },
  what: 'target shop',
  found: "can't listen on 127.0.0.1 port 6432: address already in use",
  remedy: 'Choose another address.',
};
const NO_IDENTITY: Finding = {
  ...{ condition: 'identity', severity: 'failed', sinceMs: SINCE_MS },
  ...{ what: 'identity', found: 'no identity', remedy: 'Apply an entry.' },
};

let findings: readonly Finding[];
let server: HealthServer;
const sockets: Socket[] = [];

async function ready(): Promise<{ status: number; body: unknown }> {
  const { host, port } = server.address();
  const response = await fetch(`http://${host}:${port}/ready`);
  return { status: response.status, body: await response.json() };
}

beforeEach(async () => {
  findings = [];
  server = createHealthServer({
    ...{ host: '127.0.0.1', port: 0, log: createSilentLog(), metrics: [] },
    conditions: { names: ['targets', 'identity'], findings: () => findings },
  });
  await server.start(AbortSignal.timeout(10_000));
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.stop();
});

describe('the address', () => {
  it('that another process has is a failure that may pass, so it is no wrong setting', async () => {
    const second = createHealthServer({
      ...server.address(),
      ...{ log: createSilentLog(), metrics: [], conditions: { names: [], findings: () => [] } },
    });
    await expect(second.start(AbortSignal.timeout(10_000))).rejects.toMatchObject({
      code: 'ERR_APP_LISTEN',
      entry: { exit: 'unavailable' },
      message: expect.stringContaining('EADDRINUSE'),
    });
  });
});

describe('strangers', () => {
  const knock = async (say = '') => {
    const socket = connect(server.address());
    sockets.push(socket.on('error', () => {}).resume());
    await new Promise((resolve) => socket.once('connect', resolve));
    if (say !== '') socket.write(say);
    return socket;
  };

  it('who take all places, saying nothing or without end, keep no prober out', async () => {
    for (let n = 0; n < 200; n++) await knock(n % 2 === 0 ? '' : 'GET /ready HTTP/1.1\r\nX: ');
    expect(await ready()).toMatchObject({ status: 200 });
    await expect.poll(() => sockets.filter((socket) => !socket.closed).length).toBeLessThanOrEqual(64);
  });

  it('who neither ask nor leave are closed, and hold up no stop', async () => {
    const [silent, half] = [await knock(), await knock('GET /ready HTTP/1.1\r\n')];
    await expect.poll(() => silent.closed && half.closed).toBe(true);
    await knock();
    await server.stop();
    await server.start(AbortSignal.timeout(10_000)).catch(() => {});
  });
});

describe('/ready', () => {
  it('says no more than that of a role which can serve everything', async () => {
    expect(await ready()).toEqual({ status: 200, body: { status: 'ready' } });
  });

  it('stays 200 while something is degraded, and says what, since when and what to do', async () => {
    findings = [CLOSED_DOOR];
    const { sinceMs: _, ...told } = CLOSED_DOOR;
    const problems = [{ ...told, since: '2027-01-01T00:00:00.000Z' }];
    expect(await ready()).toEqual({ status: 200, body: { status: 'ready', problems } });
  });

  it('is 503 for what has failed, with the words of it as reasons', async () => {
    findings = [NO_IDENTITY, CLOSED_DOOR];
    expect(await ready()).toMatchObject({
      status: 503,
      body: {
        status: 'not ready',
        reasons: ['no identity'],
        problems: [{ condition: 'identity' }, { what: 'target shop' }],
      },
    });
  });
});

describe('/live', () => {
  it('is 200 whatever has failed: starting the process again would mend none of it', async () => {
    findings = [NO_IDENTITY];
    const { host, port } = server.address();
    expect((await fetch(`http://${host}:${port}/live`)).status).toBe(200);
  });
});

describe('countersign_condition', () => {
  const metrics = async () => {
    const { host, port } = server.address();
    const text = await (await fetch(`http://${host}:${port}/metrics`)).text();
    return text.split('\n').filter((line) => line.startsWith('countersign_condition{'));
  };

  it('is there for every condition and severity of the role, 1 for what is wrong and 0 for what is well', async () => {
    findings = [NO_IDENTITY];
    const lines = await metrics();
    expect(lines).toHaveLength(6);
    expect(lines.filter((line) => line.endsWith(' 1'))).toEqual([
      'countersign_condition{condition="identity",severity="failed"} 1',
    ]);
    findings = [];
    expect((await metrics()).every((line) => line.endsWith(' 0'))).toBe(true);
  });
});
