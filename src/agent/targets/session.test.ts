import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createManualClock, createSilentLog } from '../../std/index.ts';
import { createCounters } from '../counters.ts';
import { AgentError } from '../errors.ts';
import type { Identities } from '../workload-api/identities.ts';
import { serveTargetSession } from './session.ts';
import { type TargetProtocol, targetProtocols } from './target-refusal.ts';

it('a silent client of a user who has too many connections is told so and keeps no place', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'session-'));
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  try {
    server.listen(join(folder, 's'));
    await once(server, 'listening');
    const accepted = once(server, 'connection');
    const client = connect({ path: join(folder, 's'), allowHalfOpen: true });
    const chunks: Buffer[] = [];
    client.on('data', (chunk) => chunks.push(chunk));
    const [socket] = (await accepted) as [Socket]; // What net emits with 'connection'.
    const target = { name: 'orders', protocol: 'postgres', gateways: [] };
    await serveTargetSession(socket, target, {
      protocol: targetProtocols['postgres'] as TargetProtocol, // It is in the table.
      clock: createManualClock(0), // It stands still: nothing below waits for a time limit.
      log: createSilentLog(),
      refused: createSilentLog(),
      counters: createCounters(),
      callers: {
        accept() {
          throw new AgentError('ERR_AGENT_BUSY', 'uid 1000 has 2048 connections already');
        },
      },
      identities: {} as Identities, // Nobody gets so far.
      drain: new AbortController().signal,
      signal: new AbortController().signal,
    });
    expect(socket.destroyed).toBe(true);
    await once(client, 'end');
    expect(Buffer.concat(chunks).toString()).toContain('53300');
    client.destroy();
  } finally {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
