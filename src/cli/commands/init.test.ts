import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { memberSchemas } from '../../app/members.ts';
import { parseConfig } from '../../config/index.ts';
import { createManualClock, createSeededRandom } from '../../std/index.ts';
import type { CliContext } from '../command.ts';
import { UsageError } from '../command.ts';
import { command } from './init.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'init-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const init = (configPath: string, dir: string) =>
  command.run(contextOf(configPath), {
    args: [],
    options: { trustDomain: 'example.org', roles: 'server,agent,gateway', dir },
  });

describe.each(["a b'c", 'a: #b "c" $(d)', 'plain'])('a configuration for the folder %s', (name) => {
  it('has its paths as they are', async () => {
    const file = join(folder, name, 'cs.yaml');
    await init(file, join(folder, name));
    const text = readFileSync(file, 'utf8');
    const { server, agent, gateway } = parseConfig({ file, text, members: memberSchemas, env: {} });
    const data = join(folder, name, 'data');
    expect([server?.dataDir, agent?.dataDir, gateway?.dataDir]).toEqual(
      ['server', 'agent', 'gateway'].map((role) => join(data, role)),
    );
    expect(agent).toMatchObject({
      joinToken: `file:${join(data, 'join-token')}`,
      socket: join(folder, name, 'run/agent/agent.sock'),
      targetsDir: join(folder, name, 'run/agent/targets'),
    });
    expect([server?.socket, gateway?.workloadApi]).toEqual([
      join(folder, name, 'run/server/server.sock'),
      agent?.socket,
    ]);
  });

  it('says how to make the token in words that a shell takes as they stand', async () => {
    const file = join(folder, name, 'cs.yaml');
    await init(file, join(folder, name));
    const line = readFileSync(file, 'utf8')
      .split('\n')
      .find((one) => one.includes('umask'));
    mkdirSync(join(folder, name, 'data'));
    writeFileSync(join(folder, 'countersign'), '#!/bin/sh\nprintf "%s\\n" "$@"\n', { mode: 0o755 });
    execFileSync('/bin/sh', ['-c', line?.replace(/^ *# */, '') ?? 'false'], {
      env: { PATH: `${folder}:${process.env['PATH'] ?? ''}` },
    });
    expect(readFileSync(join(folder, name, 'data/join-token'), 'utf8').split('\n')).toEqual([
      ...['--config', file, 'node', 'token', '--agent-id', 'spiffe://example.org/node/first', ''],
    ]);
  });
});

describe('a file that can not be written', () => {
  it('is a wrong use', async () => {
    writeFileSync(join(folder, 'file'), '');
    await expect(init(join(folder, 'file/cs.yaml'), folder)).rejects.toThrow(UsageError);
    await expect(init('/proc/none/cs.yaml', folder)).rejects.toThrow('/proc/none/cs.yaml can not be written');
  });
});

describe('a path with a line break', () => {
  it('is refused: it would end the comment that it stands in', async () => {
    await expect(init(join(folder, 'cs.yaml'), join(folder, 'a\nb'))).rejects.toThrow(UsageError);
    await expect(init(join(folder, 'c\ns.yaml'), folder)).rejects.toThrow(UsageError);
  });
});

function contextOf(configPath: string): CliContext {
  return {
    say: () => {},
    emit: () => {},
    warn: () => {},
    ...{
      json: false,
      columns: 80,
      commands: [],
      env: {},
      configPath,
      configNamed: true,
      signal: new AbortController().signal,
    },
    ...{ clock: createManualClock(0), random: createSeededRandom('init'), stdin: async () => Buffer.alloc(0) },
  };
}
