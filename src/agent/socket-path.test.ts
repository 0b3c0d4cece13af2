import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { prepareSocketFolder } from './socket-path.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'agent-sockets-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('socket paths', () => {
  it('get a folder that everybody can pass and only we can write', async () => {
    const made = join(folder, 'a', 'b');
    await prepareSocketFolder(made);
    expect(statSync(made).mode & 0o777).toBe(0o755);
  });

  it('are refused in a folder that others may write, through a link, or with dots', async () => {
    const open = join(folder, 'open');
    mkdirSync(open);
    chmodSync(open, 0o777);
    await expect(prepareSocketFolder(open)).rejects.toMatchObject({ code: 'ERR_PRIVATE_FILE_UNSAFE' });
    await expect(prepareSocketFolder(join(open, 'below'))).rejects.toMatchObject({
      code: 'ERR_PRIVATE_FILE_UNSAFE',
    });
    const fine = join(folder, 'fine');
    mkdirSync(fine);
    symlinkSync(fine, join(folder, 'link'));
    await expect(prepareSocketFolder(join(folder, 'link'))).rejects.toMatchObject({ code: 'ERR_AGENT_SOCKET' });
    await expect(prepareSocketFolder(`${fine}/../fine`)).rejects.toMatchObject({ code: 'ERR_AGENT_SOCKET' });
    writeFileSync(join(folder, 'file'), '');
    for (const below of ['file', 'file/below'])
      await expect(prepareSocketFolder(join(folder, below))).rejects.toMatchObject({ code: 'ERR_PRIVATE_FILE_IO' });
  });
});
