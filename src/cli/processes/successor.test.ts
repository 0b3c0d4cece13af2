import type { EventEmitter } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { createSilentLog, type Log, type LogFields } from '../../std/index.ts';
import { type Ended, startBeside, succeedOnHangup } from './successor.ts';

describe('a process started beside', () => {
  const own = { execPath: process.execPath, execArgv: [], argv: ['node', 'unused'] };
  /** Runs these words in the place of the script. */
  const start = (...argv: readonly string[]) => startBeside(argv.slice(1), { ...own, argv: ['node', argv[0] ?? ''] });

  it('tells how it ended: by its exit code, by a signal, or that it could not begin', async () => {
    const script = ['-e', 'process.exit(78)'];
    expect(await start(...script).ended).toEqual({ exitCode: 78, how: 'it ended with exit code 78' });
    const long = start('-e', 'setInterval(() => {}, 1000)');
    long.child.kill('SIGKILL');
    expect(await long.ended).toEqual({ exitCode: 137, how: 'it was ended by SIGKILL' });
    const none = startBeside([], { ...own, execPath: '/nowhere/node' });
    expect(await none.ended).toMatchObject({ exitCode: 127, how: expect.stringContaining('could not be started') });
  });

  it('is given the flags that its operator gave, and works out those of the heap anew', async () => {
    const flags = ['--max-old-space-size=512', '--max-semi-space-size=16', '--expose-gc', '--no-warnings'];
    const script = 'process.exit(process.execArgv.join() .startsWith("--no-warnings,-e") ? 0 : 1)';
    const { ended } = startBeside([script], { ...own, execArgv: flags, argv: ['node', '-e'] });
    expect((await ended).exitCode).toBe(0);
  });
});

describe('SIGHUP', () => {
  const lines: string[] = [];
  const tell = (event: string, fields: LogFields = {}) =>
    void lines.push(`${event} ${Object.values(fields).join(', ')}`.trim());
  const log: Log = { ...createSilentLog(), info: tell, warn: tell, error: tell };
  let release = () => {};
  const hangUp = () => void (process as EventEmitter).emit('SIGHUP');
  afterEach(() => {
    release();
    lines.length = 0;
  });

  it('starts one successor at a time, and says so when that came to nothing', async () => {
    const ends: ((ended: Ended) => void)[] = [];
    let isReplaced = false;
    release = succeedOnHangup({
      ...{ log, isInTerminal: false },
      isReplaced: () => isReplaced,
      start: () => ({ ended: new Promise((resolve) => ends.push(resolve)) }),
    });
    hangUp();
    hangUp();
    expect(lines).toEqual(['agent.successor.started', 'agent.successor.not_started one is starting']);
    ends[0]?.({ exitCode: 78, how: 'it ended with exit code 78' });
    await expect.poll(() => lines.at(-1)).toBe('agent.successor.failed it ended with exit code 78, this agent goes on');
    hangUp();
    isReplaced = true;
    ends[1]?.({ exitCode: 1, how: 'it ended long after' });
    await Promise.resolve();
    expect(lines.at(-1)).toBe('agent.successor.started');
    expect(ends).toHaveLength(2);
  });

  it('starts none where that would end with this process: in a container it is told what to do', () => {
    const start = () => expect.unreachable('it was started');
    release = succeedOnHangup({ log, isReplaced: () => false, isInTerminal: false, pid: 1, start });
    hangUp();
    expect(lines).toEqual([
      expect.stringMatching(/the container ends with this process, start the new one beside it, with --replace/),
    ]);
  });

  it('ends a process in a terminal as it always did: nobody listens to it', () => {
    const before = process.listenerCount('SIGHUP');
    release = succeedOnHangup({ log, isReplaced: () => false, isInTerminal: true });
    expect(process.listenerCount('SIGHUP')).toBe(before);
  });
});
