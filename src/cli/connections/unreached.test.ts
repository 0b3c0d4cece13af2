import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Code, RpcError } from '../../rpc/index.ts';
import { whyUnreached } from './unreached.ts';

// Goal: who can't reach a role is told what to do about it, not what the system calls it.

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'unreached-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const failure = (code: string) =>
  new RpcError(Code.UNAVAILABLE, `can't connect: ${code}`, { cause: Object.assign(new Error(code), { code }) });

describe('a server that can not be reached', () => {
  const why = (code: string, socket = join(folder, 'server.sock')) =>
    whyUnreached(failure(code), { role: 'server', connect: { unix: socket }, option: '--socket' });

  it('because its socket is closed to this user: who may open it', () => {
    writeFileSync(join(folder, 'server.sock'), '');
    expect(why('EACCES')).toEqual({
      code: 'EACCES',
      remedy: expect.stringMatching(/^only root( and uid \d+)? may open it: run this with sudo$/),
    });
  });

  it('because the folder of its socket is closed: whose that is', () => {
    const inner = join(folder, 'inner');
    mkdirSync(inner);
    chmodSync(inner, 0o700);
    expect(why('EACCES', join(inner, 'none.sock')).remedy).toMatch(/may open it/);
  });

  it('because there is no socket: how to start it, and how to name another', () => {
    const { remedy } = why('ENOENT');
    for (const part of ['`countersign server`', '--config', '--socket']) expect(remedy).toContain(part);
  });

  it('because nobody listens any more: how to start it', () => {
    expect(why('ECONNREFUSED').remedy).toBe('the server that made it has ended: start it with `countersign server`');
  });

  it('at an address whose name does not resolve: that it does not', () => {
    const connect = { host: 'nosuch.invalid', port: 8081, tls: { verifyPeer() {}, identity: () => undefined } };
    const { remedy } = whyUnreached(failure('ENOTFOUND'), { role: 'server', connect, option: '--server' });
    expect(remedy).toContain('does not resolve');
    expect(remedy).toContain('--server');
  });
});
