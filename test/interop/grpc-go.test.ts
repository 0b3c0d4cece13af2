/** gRPC of Go on both sides of the gateway: what most services in production speak. */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { portOver } from '../../src/gateway/protocols/http/testing/grpc-peers.ts';
import { allowed, denied, type HttpBed, openHttp } from '../../src/gateway/protocols/http/testing/harness.ts';
import { eventually } from '../support/eventually.ts';
import { buildGo, go } from './go-toolchain.ts';
import { mayLack } from './toolchain.ts';

describe.skipIf(mayLack(go))('gRPC of Go', () => {
  let folder: string;
  let server: ChildProcess;
  let upstreamPort: string;
  let bed: HttpBed;
  beforeAll(async () => {
    folder = fs.mkdtempSync(path.join(tmpdir(), 'grpc-go-'));
    await buildGo(folder, ['grpcpeer']);
    server = spawn(path.join(folder, 'grpcpeer'), ['serve'], { stdio: ['ignore', 'pipe', 'inherit'] });
    if (server.stdout === null) throw new Error('a server without an output');
    for await (const line of createInterface(server.stdout)) {
      upstreamPort = line;
      break;
    }
  });
  afterEach(() => bed?.close());
  afterAll(() => {
    server?.kill('SIGKILL');
    fs.rmSync(folder, { recursive: true, force: true });
  });

  it('passes calls, streams, deadlines and statuses, and is refused in its own words', async () => {
    bed = await openHttp({
      config: { url: `http://127.0.0.1:${upstreamPort}`, upstreamHttp2: true },
      decide: ({ context }) => (context['path'] === '/grpc.health.v1.Health/List' ? denied : undefined),
    });
    const address = `127.0.0.1:${await portOver(bed.client)}`;
    const { stdout } = await promisify(execFile)(path.join(folder, 'grpcpeer'), ['call', address]);
    expect(stdout.trim().split('\n')).toEqual([
      'unary SERVING',
      'unknown NotFound',
      'watch Canceled',
      'deadline true',
      'refused PermissionDenied',
    ]);
    expect(bed.logged.filter((line) => line.includes('session_bug'))).toEqual([]);
  });

  it('is answered beside many calls that go on, and told by their status when policy ends these', async () => {
    bed = await openHttp({
      config: { url: `http://127.0.0.1:${upstreamPort}`, upstreamHttp2: true },
      decide: ({ context }) =>
        allowed(context['path'] === '/grpc.health.v1.Health/Watch' ? { limits: { duration: 3_600_000 } } : {}),
    });
    const address = `127.0.0.1:${await portOver(bed.client)}`;
    const crowd = spawn(path.join(folder, 'grpcpeer'), ['crowd', address], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    crowd.stdout.on('data', (more: Buffer) => {
      said += more.toString();
    });
    const ended = once(crowd, 'close');
    await eventually('short ones are answered', async () => {
      await bed.clock.advance(250);
      return said === 'answered\n';
    });
    await bed.clock.advance(3_600_000);
    await ended;
    expect(said).toBe('answered\nmap[DeadlineExceeded:90]\n');
  });
});
