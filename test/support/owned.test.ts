import { spawn } from 'node:child_process';
import * as path from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventually } from './eventually.ts';
import { expectNone } from './no-orphans.ts';
import { own, RUN_MARK } from './owned.ts';
import { startPostgres } from './postgres.ts';

const OWNER = `
  import { spawn } from 'node:child_process';
  import { own } from '${path.join(import.meta.dirname, 'owned.ts')}';
  const children = [1, 2, 3].map(() => own(spawn('sleep', ['600'], { stdio: 'ignore' })));
  children[1].once('exit', () => process.stdout.write(JSON.stringify(children.map((child) => child.pid)) + '\\n'));
  children[1].kill();
  setInterval(() => {}, 1000);`;

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('a process that a test owns', () => {
  it('does not outlive a test process that is killed', async () => {
    const owner = own(
      spawn(process.execPath, ['--input-type=module', '-e', OWNER], { stdio: ['ignore', 'pipe', 'inherit'] }),
    );
    const line = await new Promise<Buffer>((resolve) => owner.stdout.once('data', resolve));
    const pids: number[] = JSON.parse(line.toString());
    expect(pids.map(isThere)).toEqual([true, false, true]);
    owner.kill('SIGKILL');
    await eventually('all are gone', () => !pids.some(isThere));
  });
});

describe('the end of a run', () => {
  it('names a process that is left, and kills it', async () => {
    const run = `planted-${process.pid}`;
    const left = own(spawn('sleep', ['600'], { stdio: 'ignore', env: { ...process.env, [RUN_MARK]: run } }));
    const ended = new Promise((resolve) => left.once('exit', (_code, signal) => resolve(signal)));
    await eventually('it runs', () =>
      expectNone(run, { withinMs: 0 }).then(
        () => false,
        () => true,
      ),
    );
    await expect(ended).resolves.toBe('SIGKILL');
    await expectNone(run, { withinMs: 0 });
  });

  it('names what left its session and group, and the processes of a PostgreSQL, which overwrite their environment', async () => {
    const run = `planted-${process.pid}-apart`;
    const left = own(
      spawn('sleep', ['600'], { stdio: 'ignore', detached: true, env: { ...process.env, [RUN_MARK]: run } }),
    );
    const postgres = await startPostgres();
    try {
      const { pid } = postgres;
      const named = await expectNone(run, { withinMs: 0, folder: path.dirname(postgres.dataDir) }).catch(String);
      expect(named).toContain(': sleep 600');
      expect(named).toContain(': postgres: checkpointer');
      await eventually('all are gone', () => left.signalCode === 'SIGKILL' && !isThere(pid));
    } finally {
      await postgres.stop();
    }
  });
});
