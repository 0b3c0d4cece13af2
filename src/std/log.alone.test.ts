import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLog } from './log.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'log-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a log whose disk is full', () => {
  it('never throws into what it is the log of, and holds a bounded part of what it could not write', () => {
    const fd = openSync('/dev/full', 'w');
    const log = createLog({ level: 'info', fd });
    const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
    for (let line = 0; line < 20_000; line++) log.info('test.line', { line, text: 'x'.repeat(1000) });
    const held = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before;
    closeSync(fd);
    expect(held).toBeLessThan(16 * 1024 * 1024);
  });

  it('goes on when there is room again, with how it began and how much was lost', () => {
    const fd = openSync('/dev/full', 'w');
    const log = createLog({ level: 'info', fd });
    for (let line = 0; line < 1000; line++) log.info('test.line', { line, text: 'x'.repeat(1000) });
    closeSync(fd);
    // The lowest free number, so the same one.
    expect(openSync(join(folder, 'log'), 'w')).toBe(fd);
    log.info('test.again');
    log.info('test.again');
    closeSync(fd);
    const lines = readFileSync(join(folder, 'log'), 'utf8')
      .trim()
      .split('\n')
      .map((line): { event: string; line?: number; lines?: number } => JSON.parse(line));
    const kept = lines.filter(({ event }) => event === 'test.line');
    const lost = lines.find(({ event }) => event === 'log.lost');
    expect(kept.map(({ line }) => line)).toEqual(kept.map((_, index) => index));
    expect(kept.length + Number(lost?.lines) + lines.filter(({ event }) => event === 'test.again').length).toBe(1002);
    expect(lines.at(-1)?.event).toBe('test.again');
  });
});
