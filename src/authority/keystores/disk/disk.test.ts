import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { createSilentLog, createSystemRandom } from '../../../std/index.ts';
import { member } from './index.ts';

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'keystore-disk-'));
afterAll(() => fs.rmSync(scratch, { recursive: true, force: true }));
const signal = new AbortController().signal;
let directory: string;
beforeEach(() => {
  directory = path.join(fs.mkdtempSync(path.join(scratch, 'case-')), 'keystore');
});

function open(passphrase?: string) {
  const settings = passphrase === undefined ? { directory } : { directory, passphrase };
  return member.open(settings, { log: createSilentLog(), random: createSystemRandom() });
}

async function withKey(passphrase?: string): Promise<string> {
  const keystore = open(passphrase);
  await keystore.start(signal);
  await keystore.generate('ca-1', 'ec-p256', signal);
  await keystore.stop();
  return path.join(directory, 'keys', 'ca-1.key');
}

async function startFailure(passphrase?: string): Promise<{ code: string; message: string }> {
  const keystore = open(passphrase);
  const error: unknown = await keystore.start(signal).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  await keystore.stop();
  if (!(error instanceof Error) || !('code' in error)) throw new Error('the keystore has opened');
  return { code: String(error.code), message: error.message };
}

function passphraseFile(text: string, mode = 0o600): string {
  const file = path.join(fs.mkdtempSync(path.join(scratch, 'passphrase-')), 'passphrase');
  fs.writeFileSync(file, text, { mode });
  fs.chmodSync(file, mode);
  return `file:${file}`;
}

describe('what lies on disk', () => {
  it('is readable by its owner only, and holds no private key in the clear', async () => {
    const file = await withKey();
    expect(fs.statSync(directory).mode & 0o777).toBe(0o700);
    expect(fs.statSync(path.dirname(file)).mode & 0o777).toBe(0o700);
    for (const name of ['keys/ca-1.key', 'data-key', 'lock']) {
      expect(fs.statSync(path.join(directory, name)).mode & 0o777, name).toBe(0o600);
    }
    // The OID of EC keys stands in every PKCS #8 file of one.
    expect(fs.readFileSync(file).includes(Buffer.from('2a8648ce3d0201', 'hex'))).toBe(false);
  });

  it.each([['data-key'], ['keys/ca-1.key']])('is refused when others may read %s', async (name) => {
    await withKey();
    fs.chmodSync(path.join(directory, name), 0o640);
    expect(await startFailure()).toMatchObject({
      code: 'ERR_KEYSTORE_UNSAFE',
      message: expect.stringContaining('0640'),
    });
  });

  it.each([['.'], ['keys']])('is refused when the folder %s is open to others', async (name) => {
    await withKey();
    fs.chmodSync(path.join(directory, name), 0o750);
    expect((await startFailure()).code).toBe('ERR_KEYSTORE_UNSAFE');
  });

  it.skipIf(process.getuid?.() !== 0)(
    'is refused when it belongs to someone else (needs root to give it away)',
    async () => {
      const file = await withKey();
      fs.chownSync(file, 65534, 65534);
      expect(await startFailure()).toMatchObject({
        code: 'ERR_KEYSTORE_UNSAFE',
        message: expect.stringContaining('65534'),
      });
    },
  );

  it('is refused when a key is a link to somewhere else', async () => {
    const file = await withKey();
    fs.renameSync(file, path.join(scratch, 'elsewhere.key'));
    fs.symlinkSync(path.join(scratch, 'elsewhere.key'), file);
    expect((await startFailure()).code).toBe('ERR_KEYSTORE_UNSAFE');
  });
});

describe('a damaged folder', () => {
  it('is refused by the name of the file, wherever the key file is cut or changed', async () => {
    const file = await withKey();
    const whole = fs.readFileSync(file);
    for (const length of [0, 4, 28, whole.length - 1]) {
      fs.writeFileSync(file, whole.subarray(0, length));
      expect(await startFailure()).toMatchObject({
        code: 'ERR_KEYSTORE_DAMAGED',
        message: expect.stringContaining(file),
      });
    }
    for (const at of [0, 4, 10, 40, whole.length - 1]) {
      const edited = Buffer.from(whole);
      edited[at] = (edited[at] ?? 0) ^ 1;
      fs.writeFileSync(file, edited);
      expect((await startFailure()).code).toBe('ERR_KEYSTORE_DAMAGED');
    }
    fs.writeFileSync(file, Buffer.alloc(70_000));
    expect((await startFailure()).code).toBe('ERR_KEYSTORE_DAMAGED');
  });

  it('is refused when one key file was put in the place of another', async () => {
    const file = await withKey();
    fs.renameSync(file, path.join(directory, 'keys', 'ca-2.key'));
    expect((await startFailure()).code).toBe('ERR_KEYSTORE_DAMAGED');
  });

  it('is refused when the data key is gone, cut off, or there are two', async () => {
    await withKey();
    const dataKey = path.join(directory, 'data-key');
    const whole = fs.readFileSync(dataKey);
    fs.rmSync(dataKey);
    expect((await startFailure()).code).toBe('ERR_KEYSTORE_DAMAGED');
    fs.writeFileSync(dataKey, whole.subarray(1), { mode: 0o600 });
    expect((await startFailure()).code).toBe('ERR_KEYSTORE_DAMAGED');
    fs.writeFileSync(dataKey, whole);
    fs.writeFileSync(path.join(directory, 'data-key.wrapped'), whole, { mode: 0o600 });
    expect((await startFailure()).code).toBe('ERR_KEYSTORE_DAMAGED');
  });

  it('is refused when it holds files that are not its own', async () => {
    await withKey();
    fs.writeFileSync(path.join(directory, 'keys', 'notes.txt'), 'x', { mode: 0o600 });
    expect((await startFailure()).code).toBe('ERR_KEYSTORE_DAMAGED');
  });

  it('forgets what a crash left half written', async () => {
    const file = await withKey();
    fs.writeFileSync(`${file}.unfinished`, 'half', { mode: 0o600 });
    fs.writeFileSync(path.join(directory, 'keys', 'ca-9.key.unfinished'), '', { mode: 0o600 });
    const keystore = open();
    await keystore.start(signal);
    expect(keystore.list()).toEqual(['ca-1']);
    expect(fs.readdirSync(path.join(directory, 'keys'))).toEqual(['ca-1.key']);
    await keystore.stop();
  });
});

describe('a passphrase', () => {
  it('opens the keystore it was made with; a newline at the end of its file does not count', async () => {
    await withKey(passphraseFile('correct horse\n'));
    expect(fs.existsSync(path.join(directory, 'data-key'))).toBe(false);
    const keystore = open(passphraseFile('correct horse'));
    await keystore.start(signal);
    expect(keystore.list()).toEqual(['ca-1']);
    await keystore.stop();
  });

  it('is refused when it is wrong, missing, empty, too long or readable by everyone', async () => {
    await withKey(passphraseFile('right'));
    expect((await startFailure(passphraseFile('wrong'))).code).toBe('ERR_KEYSTORE_PASSPHRASE');
    expect((await startFailure()).code).toBe('ERR_KEYSTORE_PASSPHRASE');
    expect((await startFailure(passphraseFile('\n'))).code).toBe('ERR_KEYSTORE_PASSPHRASE');
    expect((await startFailure('env:COUNTERSIGN_NO_SUCH_VARIABLE')).code).toBe('ERR_KEYSTORE_PASSPHRASE');
    expect((await startFailure('file:/nonexistent/passphrase')).code).toBe('ERR_KEYSTORE_PASSPHRASE');
    expect((await startFailure(passphraseFile('x'.repeat(5000)))).code).toBe('ERR_KEYSTORE_PASSPHRASE');
    expect((await startFailure(passphraseFile('right', 0o644))).code).toBe('ERR_KEYSTORE_UNSAFE');
    fs.truncateSync(path.join(directory, 'data-key.wrapped'), 20);
    expect((await startFailure(passphraseFile('right'))).code).toBe('ERR_KEYSTORE_DAMAGED');
  });

  it('is not added to a keystore that was made without one', async () => {
    await withKey();
    expect((await startFailure(passphraseFile('new'))).code).toBe('ERR_KEYSTORE_CONFIG');
  });
});

describe('the lock', () => {
  it('keeps a second process out, and is free again once the holder is gone, however it went', async () => {
    const keystore = open();
    await keystore.start(signal);
    const attempt = () =>
      spawnSync(process.execPath, ['--input-type=module', '-e', otherProcess(directory)], { encoding: 'utf8' });
    expect(attempt().stdout).toBe('ERR_KEYSTORE_LOCKED');
    await keystore.stop();
    // The other process ends without stopping its keystore.
    expect(attempt().stdout).toBe('open');
    expect(attempt().stdout).toBe('open');
  });

  it('is not taken through something that is no file', async () => {
    fs.mkdirSync(path.join(directory, 'lock'), { recursive: true, mode: 0o700 });
    fs.chmodSync(directory, 0o700);
    expect((await startFailure()).code).toBe('ERR_KEYSTORE_UNSAFE');
  });
});

it('reports a folder that can not be made', async () => {
  const file = path.join(scratch, 'a-file');
  fs.writeFileSync(file, '');
  directory = path.join(file, 'keystore');
  expect((await startFailure()).code).toBe('ERR_KEYSTORE_IO');
});

function otherProcess(folder: string): string {
  const door = new URL('./index.ts', import.meta.url).href;
  const std = new URL('../../../std/index.ts', import.meta.url).href;
  return `
    const { member } = await import(${JSON.stringify(door)});
    const { createSilentLog, createSystemRandom } = await import(${JSON.stringify(std)});
    const keystore = member.open({ directory: ${JSON.stringify(folder)} }, { log: createSilentLog(), random: createSystemRandom() });
    await keystore.start(new AbortController().signal).then(
      () => process.stdout.write('open'),
      (error) => process.stdout.write(error.code),
    );
    process.kill(process.pid, 'SIGKILL');
  `;
}
