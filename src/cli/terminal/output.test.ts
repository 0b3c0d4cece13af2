import * as path from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../../test/support/processes.ts';
import { columnsOf } from './output.ts';

const EXECUTABLE = path.join(import.meta.dirname, '../../../bin/countersign.js');
const LOGGER = `
  import { createLog } from '${path.join(import.meta.dirname, '../../std/index.ts')}';
  const log = createLog({ level: 'info' });
  for (let n = 0; n < 3000; n++) log.info('still.here', { n, filling: 'x'.repeat(1000) });
  console.log('alive');`;

/** Runs Node with its outputs redirected as the shell does it. */
const redirected = (args: readonly string[], redirection: string) =>
  run('/bin/sh', ['-c', `"$@" ${redirection}`, 'sh', process.execPath, ...args]);

describe('the width of lines', () => {
  it('is that of the terminal, and 80 where it says none', () => {
    expect(columnsOf({ columns: 120 })).toBe(120);
    expect(columnsOf({ columns: 0 })).toBe(80);
    expect(columnsOf({} as NodeJS.WriteStream)).toBe(80);
  });
});

describe('an output that is lost', () => {
  it('to a reader that left early ends a command without a word', async () => {
    expect(await redirected([EXECUTABLE, 'ledger', 'verify', '--help'], '| true')).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    });
  });

  it('to a full disk is a failure', async () => {
    const { code, stderr } = await redirected([EXECUTABLE, 'ledger', 'verify', '--help'], '> /dev/full');
    expect([code, stderr]).toEqual([70, '']);
  });

  it('of a log that can not be written ends nobody', async () => {
    const logger = ['--input-type=module', '-e', LOGGER];
    expect(await redirected(logger, '2> /dev/full')).toEqual({ code: 0, stdout: 'alive\n', stderr: '' });
    expect((await redirected(logger, '2>&1 >/dev/null | true')).code).toBe(0);
  });
});
