/** The official Go client (go-spiffe), as any service would use it, against server and agent as they run in production. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { type Stack, startStack } from '../support/stack.ts';
import { buildGo, go } from './go-toolchain.ts';
import { startLineProcess } from './line-process.ts';
import { mayLack } from './toolchain.ts';

describe.skipIf(mayLack(go))('the official Go client', () => {
  let stack: Stack;
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-go-'));
  fs.chmodSync(directory, 0o755);

  const program = (name: 'client' | 'crowd', args: readonly string[], user = stack.users.web) =>
    startLineProcess(path.join(directory, name), args, {
      ...{ user, env: { SPIFFE_ENDPOINT_SOCKET: `unix://${stack.folder.workloadApi}` } },
    });
  const change = async (name: string, spec: Readonly<Record<string, unknown>>) => {
    const applied = await stack.apply({ 'entry.yaml': stringify({ kind: 'Entry', name, spec }) });
    expect(applied).toMatchObject({ code: 0 });
  };
  const uid = (user: number | undefined) => [`unix:uid:${user ?? process.getuid?.()}`];

  beforeAll(async () => {
    [stack] = await Promise.all([startStack({ store: 'sqlite' }), buildGo(directory, ['client', 'crowd'])]);
  });
  afterAll(async () => {
    await stack?.stop();
    fs.rmSync(directory, { recursive: true, force: true });
  });

  it('fetches, verifies and validates all it can, and hears of a changed entry within two seconds', async () => {
    await using client = program('client', [WEB]);
    for (const step of STEPS) expect(await client.next()).toEqual({ step, ok: true });
    expect(await client.next()).toMatchObject({ step: 'watching' });
    await change('web', { spiffeId: WEB, selectors: uid(stack.users.web), x509Ttl: '30m' });
    const applied = performance.now();
    expect(await client.next()).toEqual({ step: 'rotation', ok: true });
    expect(performance.now() - applied).toBeLessThan(2000);
    expect(await client.rest()).toMatchObject({ code: 0, lines: [] });
  });

  it('sees its X.509-SVID rotate by itself before half of its life is long over', async () => {
    await change('batch', { spiffeId: BATCH, selectors: uid(stack.users.batch), x509Ttl: '16s' });
    await using client = program('client', [BATCH], stack.users.batch);
    expect(await client.until('rotation')).toEqual({ step: 'rotation', ok: true });
  });

  it('gets nothing as a user without an entry', async () => {
    await using client = program('client', [WEB], stack.users.stranger);
    expect(await client.next()).toEqual({ step: 'connect', ok: true });
    expect(await client.next()).toMatchObject({
      ...{ step: 'fetch-x509-svid', ok: false, error: expect.stringContaining('no identity issued') },
    });
  });

  it('is served while 1,000 streams that were opened at once over 10 connections are all served too', async () => {
    await using crowd = program('crowd', ['10', '100']);
    expect(await crowd.next()).toMatchObject({ step: 'open', streams: 1000 });
    await using client = program('client', [WEB]);
    expect(await client.until('watching')).toMatchObject({ step: 'watching' });
    await change('web', { spiffeId: WEB, selectors: uid(stack.users.web), x509Ttl: '20m' });
    expect(await client.next()).toEqual({ step: 'rotation', ok: true });
    expect(await crowd.next()).toMatchObject({ step: 'rotated', streams: 1000 });
    await using late = program('client', [BATCH], stack.users.batch);
    expect(await late.until('fetch-x509-svid')).toEqual({ step: 'fetch-x509-svid', ok: true });
  });
});

const WEB = 'spiffe://example.org/web';
const BATCH = 'spiffe://example.org/batch';
const STEPS = [
  'connect',
  'fetch-x509-svid',
  'fetch-x509-bundles',
  'verify-x509-svid',
  'refuse-without-bundle',
  'fetch-jwt-svid',
  'fetch-jwt-bundles',
  'validate-jwt-locally',
  'validate-jwt-remotely',
  'refuse-another-audience',
  'x509-source',
  'x509-source-svid',
  'x509-source-close',
  'jwt-source',
  'jwt-source-svid',
  'jwt-source-close',
];
