/** The command line as people type it: every script in `cli/` runs in a shell against a running stack and shows what it says it shows. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mayLackPsql } from '../support/psql.ts';
import { differenceOf, parseScript, runStep } from '../support/shell-script.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { stackUsers } from '../support/stack-folder.ts';

const folder = path.join(import.meta.dirname, 'cli');
const possible = (stackUsers().separate && !mayLackPsql()) || process.env['CI'] === 'true';

describe.skipIf(!possible)('the scripts (they need psql, and root for users of their own)', () => {
  let stack: Stack;

  beforeAll(async () => {
    stack = await startStack({ seed: SEED });
  });
  afterAll(() => stack?.stop());

  it.each(fs.readdirSync(folder).toSorted())('%s', async (file) => {
    const steps = parseScript(fs.readFileSync(path.join(folder, file), 'utf8'));
    expect(steps.length).toBeGreaterThan(0);
    for (const step of steps) {
      const seen = await runStep(stack, step);
      const difference = differenceOf(seen, step.expected);
      if (difference !== undefined)
        expect.fail(`cli/${file}:${step.line}: ${step.user}$ ${step.command}\n${difference}`);
    }
  });
});

const SEED = `
  create table items (id int primary key, name text not null);
  insert into items values (1, 'anvil'), (2, 'bolt');
  grant all on items to shop_app;
`;
