import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createContentDigester } from '../gateway/index.ts';
import { createSilentLog, createSystemRandom, type Log } from '../std/index.ts';
import { openDigestKey, parseDigestKey } from './digest-key.ts';

let parent: string;
let directory: string;
let file: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'cs-digest-'));
  directory = parent;
  warned = [];
  file = join(directory, 'digest.key');
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

let warned: string[];
const log: Log = {
  ...createSilentLog(),
  warn: (event, fields) => void warned.push(`${event} ${JSON.stringify(fields)}`),
};
const open = () => openDigestKey(directory, { random: createSystemRandom(), log });
const content = { text: 'select $1', values: [Buffer.from('4711')], formats: [] };
const failure = () => {
  try {
    return open();
  } catch (error) {
    return error;
  }
};

describe('the key of content digests', () => {
  it('is made once, closed to others, and is one line that can be copied', () => {
    const made = open();
    const { digestKey } = made.about;
    expect(made.about).toEqual({ digestKey: createContentDigester(made.key).keyId, digestKeyIsNew: true });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, 'utf8')).toMatch(/^[\w-]{43}\n$/);
    const again = open();
    expect([again.about, again.key.reveal()]).toEqual([{ digestKey }, made.key.reveal()]);
    expect(warned).toEqual([]);
  });

  it('makes equal digests of equal content before and after a restart, and others at another gateway', () => {
    const digest = () => createContentDigester(open().key).digest(content);
    const before = digest();
    expect(digest()).toBe(before);
    directory = mkdtempSync(join(directory, 'another-'));
    expect(digest().slice(9)).not.toBe(before.slice(9));
  });

  it('that was lost is made anew, is another, and the log and the ledger say so', () => {
    const lost = open();
    mkdirSync(join(directory, 'ledger'));
    rmSync(file);
    const made = open();
    const { digestKey } = made.about;
    expect(made.about).toEqual({ digestKey, digestKeyIsNew: true });
    expect(digestKey).not.toBe(lost.about['digestKey']);
    expect(warned).toEqual([`gateway.digest_key.new {"digestKey":"${String(digestKey)}"}`]);
    open();
    expect(warned).toHaveLength(1);
  });

  it.each([
    ['empty', ''],
    ['short', 'A'.repeat(42)],
    ['long', 'A'.repeat(44)],
    ['followed by more', `${'A'.repeat(43)}\nmore`],
    ['of other characters', `${'A'.repeat(42)}!`],
  ])('that is %s stops the start, and says what to do', (_, text) => {
    writeFileSync(file, text, { mode: 0o600 });
    const failed = failure();
    expect(failed).toMatchObject({ code: 'ERR_APP_KEY' });
    expect(String(failed)).toMatch(/digest\.key is damaged.*from a copy, or move it away/);
    if (text !== '') expect(String(failed)).not.toContain(text.slice(0, 20));
    expect(readFileSync(file, 'utf8')).toBe(text);
    expect(() => parseDigestKey('k', text)).toThrow(expect.objectContaining({ code: 'ERR_APP_KEY' }));
  });

  it('that others may read stops the start', () => {
    open();
    chmodSync(file, 0o644);
    expect(failure()).toMatchObject({ code: 'ERR_PRIVATE_FILE_UNSAFE' });
  });

  it('that a link leads to stops the start', () => {
    writeFileSync(join(directory, 'elsewhere'), `${'A'.repeat(43)}\n`, { mode: 0o600 });
    symlinkSync(join(directory, 'elsewhere'), file);
    expect(failure()).toMatchObject({ code: 'ERR_PRIVATE_FILE_UNSAFE' });
  });

  it('is read from a file without the newline, as copies may be', () => {
    const { key } = open();
    expect(parseDigestKey('k', readFileSync(file, 'utf8').trim()).reveal()).toEqual(key.reveal());
  });
});
