import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createManualClock, createSeededRandom } from '../../../std/index.ts';
import { type CliContext, exitCodes, UsageError } from '../../command.ts';
import { command } from './explain.ts';

// Goal: only an answer of the policies ends with 0 or 1; a question that makes no sense is told to be one, so no script takes it for a deny.

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'explain-'));
  writeFileSync(
    join(folder, 'p.cedar'),
    '@id("reads") permit(principal, action == Action::"postgres:select", resource);',
  );
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const question = {
  principal: 'spiffe://example.org/web',
  action: 'postgres:select',
  resource: 'table:shop/shop/public/items',
  context: '{"columns":["id"],"hasWhere":false}',
};

describe('an answer', () => {
  it('is 0 for allow and 1 for deny', async () => {
    expect(await explain({})).toBe(exitCodes.ok);
    expect(await explain({ action: 'postgres:truncate' })).toBe(exitCodes.no);
  });
});

describe('a question that is none', () => {
  it.each([
    [{ context: '{}' }, '--context lacks columns, hasWhere, which every postgres:select has'],
    [{ context: '{"columns":[]}' }, '--context lacks hasWhere, which'],
    [{ context: '{"columns":[],"hasWhere":1}' }, 'no such request is possible: context.hasWhere is a boolean'],
    [{ action: 'postgres:slect' }, 'there is no action "postgres:slect" (did you mean "postgres:select"?)'],
    [{ action: 'nonsense' }, /^there is no action "nonsense"$/],
    [{ principal: 'web' }, /^principal: a SPIFFE ID starts with/],
    [{ resource: 'tabel:shop/shop/public/items' }, 'there is no resource kind "tabel"'],
    [{ resource: 'table:items' }, 'the id of a table is'],
  ])('is a wrong use: %j', async (change, message) => {
    await expect(explain(change)).rejects.toThrow(UsageError);
    await expect(explain(change)).rejects.toThrow(message);
  });
});

function explain(change: Partial<typeof question>): Promise<number> {
  const context: CliContext = {
    say: () => {},
    emit: (_, human) => void human(),
    warn: () => {},
    ...{ json: false, columns: 80, commands: [], env: {}, configPath: join(folder, 'none.yaml'), configNamed: false },
    ...{ clock: createManualClock(0), random: createSeededRandom('explain'), stdin: async () => Buffer.alloc(0) },
    signal: new AbortController().signal,
  };
  return command.run(context, { args: [folder], options: { ...question, ...change } });
}
