import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSystemRandom, Secret } from '../../std/index.ts';
import { createSecretStore } from './secrets.ts';

const signal = AbortSignal.timeout(60_000);
let folder: string;
const store = (key = 1) =>
  createSecretStore({
    directory: join(folder, 'keys'),
    key: new Secret(Buffer.alloc(32, key)),
    random: createSystemRandom(),
    env: { DB_PASSWORD: 'from env', EMPTY: '' },
  });
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cs-secrets-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('references', () => {
  test('to the environment and to files are resolved, a newline at the end is not part of a secret', async () => {
    writeFileSync(join(folder, 'pw'), 'from file\r\n', { mode: 0o600 });
    expect((await store().resolve('env:DB_PASSWORD', signal)).revealText()).toBe('from env');
    expect((await store().resolve(`file:${join(folder, 'pw')}`, signal)).revealText()).toBe('from file');
  });

  test('to the keystore give what was put there, newest first', async () => {
    await store().put('db', Secret.fromText('one\n'), signal);
    await store().put('db', Secret.fromText('two\n'), signal);
    expect((await store().resolve('keystore:db', signal)).revealText()).toBe('two\n');
    expect(await store().list()).toEqual(['db']);
    await store().remove('db');
    await expect(store().resolve('keystore:db', signal)).rejects.toMatchObject({ code: 'ERR_GATEWAY_SECRET' });
  });

  test.each([
    'env:NOT_SET',
    'env:EMPTY',
    'file:/does/not/exist',
    'file:/proc',
    'keystore:../x',
    'keystore:',
    'vault:x',
    'plain',
  ])('%s fails with a code', async (reference) => {
    await expect(store().resolve(reference, signal)).rejects.toMatchObject({ code: 'ERR_GATEWAY_SECRET' });
  });

  test('to a file that others may read are refused', async () => {
    writeFileSync(join(folder, 'pw'), 'x', { mode: 0o600 });
    chmodSync(join(folder, 'pw'), 0o640);
    await expect(store().resolve(`file:${join(folder, 'pw')}`, signal)).rejects.toThrow(/mode 0640/);
  });
});

describe('a file of certificates', () => {
  const certificate = '# The CA\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  const put = (text: string, mode: number) => {
    const path = join(folder, 'ca.pem');
    writeFileSync(path, text);
    chmodSync(path, mode);
    return `file:${path}`;
  };

  test('may be read by others, and be as large as a system’s list of authorities', async () => {
    const large = certificate.repeat(4_000);
    for (const text of [certificate, large])
      for (const mode of [0o644, 0o444, 0o600]) {
        const secret = await store().resolve(put(text, mode), signal);
        expect(secret.revealText().trim()).toBe(text.trim());
      }
  });

  test('may be written by nobody else', async () => {
    for (const mode of [0o646, 0o666])
      await expect(store().resolve(put(certificate, mode), signal)).rejects.toThrow(
        /allowed is 0600; chmod 600 it; when it holds certificates only: .* may be written by others; chmod go-w it/,
      );
  });

  test.each([
    ['a key beside it', `${certificate}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n`],
    ['a key alone', '-----BEGIN EC PRIVATE KEY-----\nAAAA\n'],
    ['no block at all', 'hunter2'],
    ['nothing', ''],
  ])('that holds %s is a secret like any other', async (_, text) => {
    await expect(store().resolve(put(text, 0o644), signal)).rejects.toThrow(/mode 0644, allowed is 0600/);
  });
});

describe('the keystore', () => {
  test('keeps its files sealed and for the owner alone', async () => {
    await store().put('db', Secret.fromText('very secret'), signal);
    const path = join(folder, 'keys', 'db.sealed');
    expect(readFileSync(path).includes('very secret')).toBe(false);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, 'keys')).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(folder, 'keys'))).toEqual(['db.sealed']);
  });

  test('opens nothing that was edited, renamed or sealed under another key', async () => {
    await store().put('db', Secret.fromText('x'), signal);
    await expect(store(2).resolve('keystore:db', signal)).rejects.toMatchObject({ code: 'ERR_GATEWAY_SECRET' });
    const sealed = readFileSync(join(folder, 'keys', 'db.sealed'));
    writeFileSync(join(folder, 'keys', 'other.sealed'), sealed, { mode: 0o600 });
    await expect(store().resolve('keystore:other', signal)).rejects.toMatchObject({ code: 'ERR_GATEWAY_SECRET' });
  });
});
