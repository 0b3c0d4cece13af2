import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSilentLog } from '../std/index.ts';
import { createHealthServer, type HealthServer, type Problem } from './health-server.ts';

const CLOSED_DOOR: Problem = {
  what: 'target shop',
  found: "can't listen on 127.0.0.1 port 6432: address already in use",
  remedy: 'Choose another address.',
};

let reasons: readonly string[];
let problems: readonly Problem[];
let server: HealthServer;

async function ready(): Promise<{ status: number; body: unknown }> {
  const { host, port } = server.address();
  const response = await fetch(`http://${host}:${port}/ready`);
  return { status: response.status, body: await response.json() };
}

beforeEach(async () => {
  reasons = [];
  problems = [];
  server = createHealthServer({
    ...{ host: '127.0.0.1', port: 0, log: createSilentLog(), metrics: [] },
    notReady: () => reasons,
    problems: () => problems,
  });
  await server.start(AbortSignal.timeout(10_000));
});
afterEach(() => server.stop());

describe('the address', () => {
  it('that another process has is a failure that may pass, so it is no wrong setting', async () => {
    const second = createHealthServer({
      ...server.address(),
      ...{ log: createSilentLog(), metrics: [], notReady: () => [] },
    });
    await expect(second.start(AbortSignal.timeout(10_000))).rejects.toMatchObject({
      code: 'ERR_APP_LISTEN',
      entry: { exit: 'unavailable' },
      message: expect.stringContaining('EADDRINUSE'),
    });
  });
});

describe('/ready', () => {
  it('says no more than that of a role which can serve everything', async () => {
    expect(await ready()).toEqual({ status: 200, body: { status: 'ready' } });
  });

  it('stays 200 while the role can serve, and names what it can’t do', async () => {
    problems = [CLOSED_DOOR];
    expect(await ready()).toEqual({ status: 200, body: { status: 'ready', problems: [CLOSED_DOOR] } });
  });

  it('is 503 for a reason, whatever the problems', async () => {
    reasons = ['no identity'];
    expect(await ready()).toEqual({ status: 503, body: { status: 'not ready', reasons } });
    problems = [CLOSED_DOOR];
    expect(await ready()).toEqual({ status: 503, body: { status: 'not ready', reasons, problems } });
  });
});
