/** Goal: browsers get the console's files and nothing else, under a policy that lets no text act, and signing in leads to its pages alone. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openBrowser } from '../../testing/browser.ts';
import { startTestRest, type TestRest } from '../../testing/test-rest.ts';
import { parseReturn } from '../sign-in/tools.ts';
import { readConsoleFiles } from './console-files.ts';

const SCRIPT = 'console.log(1)\n'.repeat(50);
let folder: string;
let server: TestRest;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cs-console-'));
  server = await startTestRest({ rest: { consoleFolder: join(folder, 'console') } });
});
afterEach(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

function build(): void {
  mkdirSync(join(folder, 'console/assets'), { recursive: true });
  writeFileSync(join(folder, 'secret.html'), 'a secret');
  writeFileSync(join(folder, 'console/index.html'), '<!doctype html><title>Countersign</title>');
  writeFileSync(join(folder, 'console/assets/index-a1.js'), SCRIPT);
  writeFileSync(join(folder, 'console/assets/index-a1.js.gz'), gzipSync(SCRIPT));
  writeFileSync(join(folder, 'console/assets/notes.key'), 'a secret');
}

const get = (path: string, headers = {}) => openBrowser(server).get(path, headers);

describe('the console', () => {
  it('is one page at all of its places, for whoever asks', async () => {
    build();
    for (const path of ['/console/', '/console/sessions', '/console/record?kind=denial', '/console/a/b/c']) {
      const { status, text, headers } = await get(path);
      expect({ path, status, text }).toMatchObject({ path, status: 200, text: expect.stringContaining('<title>') });
      expect(headers['cache-control']).toBe('no-cache');
    }
  });

  it('lets no inline script, no frame and no other site in', async () => {
    build();
    const { headers } = await get('/console/');
    const policy = String(headers['content-security-policy']);
    for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"])
      expect(policy.split('; ')).toContain(part);
    for (const part of ["frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"])
      expect(policy.split('; ')).toContain(part);
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
    expect(headers).toMatchObject({
      ...{ 'x-frame-options': 'DENY', 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' },
      'cross-origin-opener-policy': 'same-origin',
    });
  });

  it('has files that browsers keep, compressed for those that take it', async () => {
    build();
    const plain = await get('/console/assets/index-a1.js', { 'accept-encoding': 'gzip;q=0, identity' });
    expect([plain.status, plain.text, plain.headers['content-encoding']]).toEqual([200, SCRIPT, undefined]);
    expect(plain.headers).toMatchObject({
      'cache-control': 'public, max-age=31536000, immutable',
      'content-type': 'text/javascript; charset=utf-8',
      vary: 'accept-encoding',
    });
    const answer = await server.open({
      ...{ path: '/console/assets/index-a1.js', as: 'nobody', headers: { 'accept-encoding': 'br, gzip' } },
    });
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk);
    expect(answer.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(Buffer.concat(chunks)).toString()).toBe(SCRIPT);
  });

  it.each([
    '/console/assets/gone.js',
    '/console/assets/notes.key',
    '/console/assets/../../secret.html',
    '/console/assets/..%2f..%2fsecret.html',
    '/console/assets/%2e%2e/%2e%2e/secret.html',
    '/console/assets/index-a1.js.gz',
  ])('has nothing at %s', async (path) => {
    build();
    const { status, text } = await get(path);
    expect([status, text.includes('a secret')]).toEqual([404, false]);
  });

  it('says how it is built where it is not, and is there once it was', async () => {
    const before = await get('/console/sessions');
    expect(before.status).toBe(404);
    expect(before.text).toContain('npm run build');
    build();
    expect((await get('/console/sessions')).status).toBe(200);
  });

  it('is where the server leads whoever types its name alone', async () => {
    for (const path of ['/', '/console']) {
      const { status, headers } = await get(path);
      expect([status, headers.location]).toEqual([303, '/console/']);
    }
  });

  it('is not at the socket of operators, and asks nothing of an identity', async () => {
    build();
    expect((await server.open({ path: '/console/' })).statusCode).toBe(404);
    expect(await readConsoleFiles(folder)).toBeUndefined();
  });

  it('is not asked for without end', async () => {
    build();
    const statuses: number[] = [];
    for (let each = 0; each < 210; each++) statuses.push((await get('/console/')).status);
    expect(statuses.slice(0, 200).every((status) => status === 200)).toBe(true);
    expect(statuses).toContain(429);
  });
});

describe('who has signed in', () => {
  it.each([
    '/console/',
    '/console/record?kind=denial&identity=spiffe%3A%2F%2Fexample.org%2Fshop',
    '/console/sessions?open=127.0.0.1%3A8443+1f2e',
    '/console/a.b/c',
  ])('may be led to %s', (path) => {
    expect(parseReturn(path)).toBe(path);
  });

  it.each([
    '//evil.example/console/',
    '/console//evil.example',
    '/console/../v1/targets',
    '/console/..',
    '/console/%2e%2e/sign-in',
    '/console/%2E./x',
    '/console/\\evil',
    '/console/a;url=https://evil.example',
    '/console/?a="><script>',
    '/consoles',
    `/console/${'a/'.repeat(400)}`,
  ])('is never led to %s', (path) => {
    expect(() => parseReturn(path)).toThrow();
  });

  it('is not kept waiting by a text that is made for that', () => {
    expect(() => parseReturn(`/console/${'a'.repeat(680)}!`)).toThrow();
  });
});
