import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readTrustedFile } from '../private-files/index.ts';
import { readConfigFile } from './index.ts';

const read = (at: string) => readConfigFile(at, (name) => readTrustedFile(name, { bytesMax: 1000 }));
let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'config-'));
  path = join(folder, 'cs.yaml');
  writeFileSync(path, 'trustDomain: example.org\n', { mode: 0o644 });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('the configuration file', () => {
  it('is read where only its owner may write', () => {
    expect(read(path)).toBe('trustDomain: example.org\n');
  });

  it('is refused when others may change it or put another in its place, and the message says what to do', () => {
    const refused = (at: string) =>
      expect.objectContaining({ code: 'ERR_CONFIG_FILE', message: expect.stringMatching(`${at}.*chmod go-w it`) });
    chmodSync(path, 0o666);
    expect(() => read(path)).toThrow(refused(path));
    chmodSync(path, 0o644);
    chmodSync(folder, 0o777);
    expect(() => read(path)).toThrow(refused(folder));
  });

  it.each([
    ['/nonexistent/cs.yaml', 'there is no /nonexistent/cs.yaml; write one with `countersign init`'],
    ['/tmp', '/tmp is not a plain file'],
    ['/dev/zero', '/dev/zero is not a plain file'],
    ['/proc/version/below', '/proc/version/below is no file that can be read (ENOTDIR)'],
  ])('says of %s what is wrong and what to do', (at, message) => {
    expect(() => read(at)).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_FILE', message: expect.stringContaining(message) }),
    );
  });
});
