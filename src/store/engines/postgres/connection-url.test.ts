import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import fc from 'fast-check';
import { Type } from 'typebox';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfig } from '../../../config/index.ts';
import { readGivenSecretNow, readTrustedFile } from '../../../private-files/index.ts';
import { createSilentLog, createSystemClock, Secret } from '../../../std/index.ts';
import { StoreError } from '../../errors.ts';
import { parseConnectionUrl, resolveReference } from './connection-url.ts';
import { member } from './index.ts';

let folder: string;
let pem: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-url-'));
  pem = path.join(folder, 'root.pem');
  fs.writeFileSync(pem, 'PEM');
});
afterAll(() => fs.rmSync(folder, { recursive: true }));

const readSecretFile = (file: string) => readGivenSecretNow(`file:${file}`, { env: {}, bytesMax: 1000 });
const log = createSilentLog();
const files = { readSecretFile, readTrustedFile: (file: string) => readTrustedFile(file, { bytesMax: 1000 }) };
const parse = (url: string) => parseConnectionUrl(Secret.fromText(url), files);
const resolve = (reference: string) => resolveReference(reference, readSecretFile);

describe('a connection URL', () => {
  it('names host, port, user, password and database, with escapes', () => {
    const target = parse('postgres://us%40er:p%2Fw@db.example.org:6432/my%20db');
    expect(target).toMatchObject({ host: 'db.example.org', port: 6432, user: 'us@er', database: 'my db' });
    expect(target.password?.revealText()).toBe('p/w');
  });

  it('has defaults: port 5432, the database named as the user, no password', () => {
    const target = parse('postgresql://me@db/?sslmode=disable');
    expect(target).toMatchObject({ port: 5432, database: 'me', password: undefined, tls: false });
  });

  it('may name a socket folder, which needs no TLS', () => {
    const target = parse('postgres:///app?host=/run/postgresql&user=me&port=5433');
    expect(target).toMatchObject({ host: '/run/postgresql', port: 5433, user: 'me', database: 'app', tls: false });
  });

  it('reads IPv6 addresses without their brackets and sends no server name for an address', () => {
    const target = parse('postgres://me@[::1]/app');
    expect(target.host).toBe('::1');
    expect(target.tls).not.toHaveProperty('servername');
  });

  it('verifies the server unless told otherwise', () => {
    expect(parse('postgres://me@db/app').tls).toMatchObject({ rejectUnauthorized: true, servername: 'db' });
    expect(parse('postgres://me@db/app').tls).not.toHaveProperty('checkServerIdentity');
    expect(parse(`postgres://me@db/app?sslmode=verify-ca&sslrootcert=${pem}`).tls).toMatchObject({
      rejectUnauthorized: true,
      ca: 'PEM',
      checkServerIdentity: expect.any(Function),
    });
    expect(parse('postgres://me@db/app?sslmode=require').tls).toMatchObject({ rejectUnauthorized: false });
    expect(parse(`postgres://me@db/app?sslmode=require&sslrootcert=${pem}`).tls).toMatchObject({
      rejectUnauthorized: true,
    });
  });

  it.each([
    ['another scheme', 'mysql://me:hunter2@db/app', /postgres:\/\/user@host/],
    ['no URL', 'hunter2', /postgres:\/\/user@host/],
    ['no user', 'postgres://db/hunter2', /names no user/],
    ['no host', 'postgres:///hunter2?user=me', /names no host/],
    ['a mode that falls back to plain text', 'postgres://me:hunter2@db/app?sslmode=prefer', /sslmode is none of/],
    ['an unknown key', 'postgres://me:hunter2@db/app?options=x', /unknown key/],
    ['a key twice', 'postgres://me:hunter2@db/app?port=1&port=2', /port twice/],
    ['a port out of range', 'postgres://me:hunter2@db/app?port=65536', /port is not between/],
    ['a broken escape', 'postgres://me:hunter2%zz@db/app', /not followed by two/],
    ['a missing certificate file', 'postgres://me:hunter2@db/app?sslrootcert=/nowhere', /sslrootcert can not be read/],
  ])('with %s is refused, without being repeated', (_what, url, message) => {
    expect(() => parse(url)).toThrow(
      expect.objectContaining({ code: 'ERR_STORE_CONFIG', message: expect.stringMatching(message) }),
    );
    expect(() => parse(url)).not.toThrow(/hunter2/);
  });

  it.each(['sslrootcert', 'sslcert'])('refuses the file of %s when others may write it, with the remedy', (key) => {
    const file = path.join(folder, `${key}.pem`);
    fs.writeFileSync(file, 'PEM', { mode: 0o644 });
    const url = `postgres://me:hunter2@db/app?${key}=${file}`;
    expect(parse(url).tls).not.toBe(false);
    fs.chmodSync(file, 0o646);
    expect(() => parse(url)).toThrow(
      expect.objectContaining({
        code: 'ERR_STORE_CONFIG',
        message: `${key} can not be read: ${file} may be written by others; chmod go-w it`,
      }),
    );
  });

  it('never fails in another way, whatever the text, nor repeats the password', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.webUrl(),
          fc.string().map((text) => `postgres://me:hunter2@${text}`),
        ),
        (url) => {
          try {
            parse(url);
          } catch (error) {
            expect(error).toBeInstanceOf(StoreError);
            expect(String(error)).not.toContain('hunter2');
          }
        },
      ),
    );
  });
});

describe('a reference', () => {
  it('reads a variable, or a file without its last newline', () => {
    process.env['CS_URL_TEST'] = 'value';
    expect(resolve('env:CS_URL_TEST').revealText()).toBe('value');
    delete process.env['CS_URL_TEST'];
    fs.writeFileSync(path.join(folder, 'url'), 'line\n', { mode: 0o600 });
    expect(resolve(`file:${path.join(folder, 'url')}`).revealText()).toBe('line');
  });

  it.each([
    0o640, 0o604,
  ])('to a file of mode %o, which others can read, is refused and its text not repeated', (mode) => {
    const file = path.join(folder, `open-${mode}`);
    fs.writeFileSync(file, 'postgres://me:hunter2@db/app\n', { mode: 0o600 });
    fs.chmodSync(file, mode);
    const refused = expect.objectContaining({
      code: 'ERR_STORE_CONFIG',
      message: expect.stringMatching(`${file} has mode 0${mode.toString(8)}`),
    });
    expect(() => resolve(`file:${file}`)).toThrow(refused);
    expect(() => resolve(`file:${file}`)).not.toThrow(/hunter2/);
    expect(() => parse(`postgres://me@db/app?sslkey=${file}`)).toThrow(refused);
  });

  it.each(['env:CS_URL_MISSING', 'file:/nowhere/url'])('to nothing, %s, is refused by name', (reference) => {
    expect(() => resolve(reference)).toThrow(expect.objectContaining({ code: 'ERR_STORE_CONFIG' }));
    expect(() => resolve(reference)).toThrow(/CS_URL_MISSING|nowhere/);
  });

  it('is what the configuration asks for: a URL in its place is refused and not repeated', async () => {
    const opened = member.open({ url: 'postgres://me:hunter2@db/app' }, { clock: createSystemClock(), log });
    const refusal: unknown = await opened.catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'ERR_STORE_CONFIG' });
    expect(String(refusal)).not.toMatch(/hunter2/);
    const parse = () =>
      parseConfig({
        file: 'c.yaml',
        text: 'server: { store: { postgres: { url: "postgres://me:hunter2@db/app" } } }',
        members: {
          ...{ storeEngines: { postgres: member.config }, keystores: {}, nodeAttestors: {}, workloadAttestors: {} },
          ...{ recordSinks: {}, recordFilter: Type.Object({}) },
        },
        env: {},
      });
    expect(parse).toThrow('c.yaml:1:32: url does not have the right form, ^(file|env):.+$');
    expect(parse).not.toThrow(/hunter2/);
  });

  it('is needed: a URL in its place is refused and not repeated', () => {
    expect(() => resolve('postgres://me:hunter2@db/app')).toThrow(/must be a reference/);
    expect(() => resolve('postgres://me:hunter2@db/app')).not.toThrow(/hunter2/);
  });
});
