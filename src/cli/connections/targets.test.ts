import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { UsageError } from '../command.ts';
import { namedTarget, targetClient, targetsIn } from './targets.ts';

it('a target is named by the first word or by its option, not by both', () => {
  expect(namedTarget({ args: ['shop'], options: {} })).toBe('shop');
  expect(namedTarget({ args: [], options: { target: 'shop' } })).toBe('shop');
  expect(namedTarget({ args: [], options: {} })).toBeUndefined();
  expect(() => namedTarget({ args: ['shop'], options: { target: 'orders' } })).toThrow(UsageError);
});

describe('targets at an agent', () => {
  const folder = mkdtempSync(join(tmpdir(), 'targets-'));
  const servers: Server[] = [];
  afterAll(() => {
    for (const server of servers) server.close();
    rmSync(folder, { recursive: true });
  });
  /** Something at that place that may look like a target. */
  async function put(target: string, file: string, isSocket = true) {
    mkdirSync(join(folder, target), { recursive: true });
    if (!isSocket) return writeFileSync(join(folder, target, file), '');
    const server = createServer();
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(join(folder, target, file), resolve));
  }

  it('are folders with the socket of a protocol in them, and nothing else', async () => {
    await put('shop', '.s.PGSQL.5432');
    await put('late', '.s.PGSQL.5432', false);
    await put('other', 'other.sock');
    writeFileSync(join(folder, 'a-file'), '');
    expect(targetsIn(folder)).toEqual(['shop']);
    expect(targetsIn(join(folder, 'nowhere'))).toEqual([]);
  });

  it('are opened by the client of their protocol, in an environment that names the socket', () => {
    const { program, environment } = targetClient(folder, 'shop', { PGUSER: 'ann' });
    expect(program).toBe('psql');
    expect(environment).toMatchObject({ PGHOST: join(folder, 'shop'), PGUSER: 'ann' });
    expect(targetClient(folder, 'shop', {}).environment).toMatchObject({ PGUSER: 'workload' });
  });

  it('that are gone are told so', () => {
    expect(() => targetClient(folder, 'late', {})).toThrow('target late has no socket');
  });
});
