import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSystemRandom } from '../std/index.ts';
import { openWithheldKey, parseWithheldKey } from './role-keys.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cs-withheld-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('the key of withheld texts', () => {
  it('is made once, closed to others, and is one line that can be copied', () => {
    const made = openWithheldKey(directory, createSystemRandom());
    const file = join(directory, 'withheld.key');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).toMatch(/^[\w-]{43}\n$/);
    expect(openWithheldKey(directory, createSystemRandom()).reveal()).toEqual(made.reveal());
  });

  it('that is something else does not pass for one', () => {
    writeFileSync(join(directory, 'withheld.key'), 'not a key', { mode: 0o600 });
    const failed = expect.objectContaining({ code: 'ERR_APP_KEY' });
    expect(() => openWithheldKey(directory, createSystemRandom())).toThrow(failed);
    expect(() => parseWithheldKey('k', '')).toThrow(failed);
    expect(() => parseWithheldKey('k', `${'A'.repeat(43)}\nmore`)).toThrow(failed);
  });
});
