/** The look at the end of a run finds what a test left behind, and never takes "nothing was registered" for "nothing was found". */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const VALUE = `canary-${randomBytes(9).toString('hex')}`;
let folder: string;
let registry: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'look-'));
  registry = join(folder, 'canaries.jsonl');
  writeFileSync(registry, `${JSON.stringify(['password', Buffer.from(VALUE).toString('base64')])}\n`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs it over that checkout and temporary folder of its own. */
const look = (places: readonly string[], env: Record<string, string> = { CANARY_REGISTRY: registry }) => {
  const empty = join(folder, 'empty');
  mkdirSync(empty, { recursive: true });
  const fixed = ['--checkout', empty, '--temporary', join(folder, 'tmp'), ...places];
  mkdirSync(join(folder, 'tmp'), { recursive: true });
  const { status, stdout } = spawnSync(process.execPath, [join(import.meta.dirname, 'canaries.ts'), ...fixed], {
    env,
    encoding: 'utf8',
  });
  return { status, stdout };
};

describe('the look at the end of a run', () => {
  it('says how much it looked at, and ends with 0, when nothing is found', () => {
    const { status, stdout } = look([]);
    expect(stdout).toMatch(/^canaries: 1 values, \d+ places, 0 leaks\n$/);
    expect(status).toBe(0);
  });

  it.each([
    ['a log', 'logs/test', (): string => join(folder, 'logs')],
    ['a file that is named', 'one.log', () => join(folder, 'one.log')],
    ['what a stack left in the temporary folder', 'tmp/cs-stack-x/server/data/file', undefined],
    ['what a crash left in the temporary folder', 'tmp/core.12', undefined],
    ['an ignored file of the checkout', 'empty/.cache/left', undefined],
  ])('ends with 1, naming the place and not the value: %s', (_, file, place) => {
    const leak = join(folder, file);
    mkdirSync(join(leak, '..'), { recursive: true });
    writeFileSync(leak, `Authorization: Basic ${Buffer.from(`app:${VALUE}`).toString('base64')}`);
    const { status, stdout } = look(place === undefined ? [] : [place()]);
    rmSync(leak);
    expect(stdout).toMatch(
      new RegExp(
        `^password \\(base64\\) in .*${file.split('/').at(-1)} at \\d+\ncanaries: 1 values, \\d+ places, 1 leaks\n$`,
      ),
    );
    expect(stdout).not.toContain(VALUE.slice(7, 16));
    expect(status).toBe(1);
  });

  it('passes over what others have in the temporary folder, installed packages, and the registry itself', () => {
    for (const file of ['tmp/other/file', 'empty/node_modules/x/file']) {
      mkdirSync(join(folder, file, '..'), { recursive: true });
      writeFileSync(join(folder, file), VALUE);
    }
    expect(look([registry])).toMatchObject({ status: 0 });
  });

  it('ends with 1 when there is nothing to look for', () => {
    const empty = join(folder, 'empty.jsonl');
    writeFileSync(empty, '');
    expect(look([], {})).toEqual({ status: 1, stdout: 'canaries: CANARY_REGISTRY names no file\n' });
    expect(look([], { CANARY_REGISTRY: join(folder, 'none') }).stdout).toMatch(/does not exist/);
    expect(look([], { CANARY_REGISTRY: empty })).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/is empty/),
    });
  });
});
