/** gRPC of Go on both sides of the gateway: what most services in production speak. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { portOver } from '../../src/gateway/protocols/http/testing/grpc-peers.ts';
import { denied, type HttpBed, openHttp } from '../../src/gateway/protocols/http/testing/harness.ts';
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
});
