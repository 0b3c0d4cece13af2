import { describe, expect, it } from 'vitest';
import { createLog } from '../../src/std/index.ts';
import { lastTroubles } from './teller.ts';

describe('a step that did not hold', () => {
  it('shows the last warnings and errors of the roles, and nothing else', () => {
    let logs = '{"role":"dev","state":"running"}\n';
    const log = createLog({
      level: 'debug',
      write: (line) => {
        logs += line;
      },
    });
    log.info('gateway.session.opened', { target: 'shop' });
    for (let number = 0; number < 25; number++) log.warn('gateway.target.lost', { number });
    log.error('ledger.failed', { problem: new Error('EIO') });
    logs += '    at someFunction (file.ts:1:2)\n';
    const lines = lastTroubles(logs).map((line): unknown => JSON.parse(line));
    expect(lines).toHaveLength(20);
    expect(lines[0]).toMatchObject({ level: 'warn', number: 6 });
    expect(lines.at(-1)).toMatchObject({ level: 'error', event: 'ledger.failed' });
    expect(lastTroubles('')).toEqual([]);
  });
});
