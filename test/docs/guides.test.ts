/** The guides are followed by the letter: every command and statement in them, in order, on a real stack. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mayLackPsql } from '../support/psql.ts';
import { documents } from './markdown.ts';
import { expectPrinted } from './printed.ts';
import { createReader, type Reader } from './reader.ts';

// In the order in which a newcomer reads them: the later ones build on what the first has set up.
const GUIDES = [
  'docs/guide/first-target.md',
  'docs/guide/postgres.md',
  'docs/guide/http.md',
  'docs/guide/policies.md',
  'docs/guide/api.md',
  'docs/guide/operations.md',
  'docs/life-of-a-request.md',
];

// Without psql most of it can't be run; CI has it, and fails without.
describe.skipIf(mayLackPsql())('the guides', () => {
  let reader: Reader;
  let printed = '';

  beforeAll(async () => {
    reader = await createReader();
  });
  afterAll(() => reader?.[Symbol.asyncDispose]());

  const blocks = GUIDES.flatMap((file) => documents().find((document) => document.file === file)?.blocks ?? []);
  const steps = blocks.filter(({ language, info }) =>
    language === 'text' ? info === 'output' : ['sh', 'sql'].includes(language) && !info.startsWith('no-run'),
  );

  it.each(steps.map((block) => [`${block.file}:${block.line}`, block] as const))('%s', async (_, block) => {
    if (block.language === 'text') return expectPrinted(printed, block);
    const finished = await (block.language === 'sh' ? reader.shell(block) : reader.sql(block));
    printed = `${finished.stdout}\n${finished.stderr}`;
    expect(printed, 'a secret was printed').not.toContain('canary-');
    if (block.info.startsWith('refused')) {
      expect(finished.code, printed).not.toBe(0);
      return expect(printed).toContain(block.info.slice('refused'.length).trim());
    }
    return expect(finished.code, printed).toBe(0);
  });
});
