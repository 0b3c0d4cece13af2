/** A leak that is planted is found: in every place, in every form, whole or cut; and what may be where it is, is not reported. */
import { spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lookAtDumps, lookAtProcesses, lookBelow } from '../../support/canaries/places.ts';
import { createSearch } from '../../support/canaries/search.ts';
import { canary } from '../../support/canaries/stack-canaries.ts';
import { createWatch, describeLeaks, readRegistry, type Watch } from '../../support/canaries/watch.ts';
import { eventually } from '../../support/eventually.ts';
import { own } from '../../support/owned.ts';

const VALUE = canary();
let folder: string;
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cs-canaries-'));
});
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

const watchFor = (value: string | Uint8Array, may: readonly string[] = []): Watch => {
  const watch = createWatch({ traces: true });
  watch.add({ name: 'the value', value, may });
  return watch;
};
const leaksIn = (text: string | Uint8Array, value: string | Uint8Array = VALUE) => {
  const watch = watchFor(value);
  watch.look('here', text);
  return watch.report().leaks.map(({ name }) => name);
};

describe('the search', () => {
  it('finds what a simple search finds, for any needles and bytes', () => {
    const some = fc.uint8Array({ minLength: 4, maxLength: 9, max: 3 });
    fc.assert(
      fc.property(
        fc.array(some, { minLength: 1, maxLength: 8 }),
        fc.uint8Array({ maxLength: 300, max: 3 }),
        (parts, hay) => {
          const [needles, bytes] = [parts.map((part) => Buffer.from(part)), Buffer.from(hay)];
          const found: string[] = [];
          createSearch(needles)(bytes, (needle, at) => found.push(`${needle}@${at}`));
          const simple = needles.flatMap((needle, index) =>
            [...bytes.keys()].filter((at) => bytes.indexOf(needle, at) === at).map((at) => `${index}@${at}`),
          );
          expect(found.toSorted()).toEqual(simple.toSorted());
        },
      ),
    );
  });
});

describe('a value is found', () => {
  const around = (text: string) => `{"level":"info","x":"${text}"}`;
  const bytes = Buffer.from(VALUE);
  it.each([
    ['as it is', around(VALUE)],
    ['in hex', around(bytes.toString('hex'))],
    ['in hex, upper case', around(bytes.toString('hex').toUpperCase())],
    ['as bytea', around(`\\x${bytes.toString('hex')}`)],
    ['in base64', bytes.toString('base64')],
    ['in base64 behind one byte', Buffer.from(`:${VALUE}`).toString('base64')],
    ['in base64 behind two bytes', Buffer.from(`a:${VALUE}`).toString('base64')],
    ['as HTTP basic authentication', Buffer.from(`shop_app:${VALUE}`).toString('base64url')],
    ['URL-encoded', encodeURIComponent(VALUE)],
    ['URL-encoded wholly', VALUE.replaceAll(/./g, (one) => `%${one.charCodeAt(0).toString(16)}`)],
    ['with JSON escapes', VALUE.replaceAll(/./g, (one) => `\\u00${one.charCodeAt(0).toString(16)}`)],
    ['in UTF-16, little end first', Buffer.from(VALUE, 'utf16le')],
    ['in UTF-16, big end first', Buffer.from(VALUE, 'utf16le').swap16()],
    ['reversed', [...VALUE].reverse().join('')],
    ['as a Buffer in JSON', JSON.stringify({ x: bytes })],
    ['as a Uint8Array in JSON', JSON.stringify({ x: new Uint8Array(bytes) })],
    ['as Node prints a Buffer', `<Buffer 00 ${bytes.toString('hex').replaceAll(/../g, '$& ')}>`],
    ['cut behind its 16th character', around(VALUE.slice(0, 16))],
    ['without its first half', around(VALUE.slice(-12))],
  ])('%s', (_, shown) => {
    expect(leaksIn(shown)).toEqual(['the value']);
  });

  it('when it is full of characters that are escaped', () => {
    const value = 'pa"ss\\wo\'rd &%+/=?#';
    for (const shown of [JSON.stringify(value), encodeURIComponent(value), value.replaceAll("'", "''")])
      expect(leaksIn(shown, value), shown).toEqual(['the value']);
  });

  it('when it is a key of random bytes', () => {
    const key = randomBytes(32);
    const shapes = [key, key.toString('hex'), key.toString('base64'), key.toString('base64url'), JSON.stringify(key)];
    for (const shown of shapes) expect(leaksIn(shown, key)).toEqual(['the value']);
    expect(leaksIn(randomBytes(100_000), key)).toEqual([]);
  });

  it('not when it is another', () => {
    expect(leaksIn(around(canary()))).toEqual([]);
    expect(leaksIn(`${VALUE.slice(0, 15)} ${VALUE.slice(-11)}`)).toEqual([]);
  });

  it('but never one so short that chance would find it', () => {
    expect(() => watchFor('short secret'.slice(0, 11))).toThrow(/11 bytes/);
    expect(leaksIn('short secret', 'short secret')).toEqual(['the value']);
  });
});

describe('what can not be known beforehand is found', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ed25519 = generateKeyPairSync('ed25519').privateKey;
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const der = privateKey.export({ type: 'pkcs8', format: 'der' });
  const claims = Buffer.from('{"sub":"spiffe://example.org/web"}').toString('base64url');
  const token = `${Buffer.from('{"alg":"ES256","kid":"k"}').toString('base64url')}.${claims}.${randomBytes(64).toString('base64url')}`;
  it.each([
    ['a private key in PEM', pem, 'private key'],
    ['one of the older kind', privateKey.export({ type: 'sec1', format: 'pem' }).toString(), 'private key'],
    ['one in a line of JSON', JSON.stringify({ pem }), 'private key'],
    ['in PKCS #8', der, 'private key'],
    ['in PKCS #8, Ed25519', ed25519.export({ type: 'pkcs8', format: 'der' }), 'private key'],
    ['in base64', der.toString('base64'), 'private key'],
    ['in hex', der.toString('hex'), 'private key'],
    ['in a Buffer of JSON', JSON.stringify(der), 'private key'],
    ['as a JWK', JSON.stringify(privateKey.export({ format: 'jwk' })), 'private key'],
    ['a signed token', `authorization: Bearer ${token}`, 'signed token'],
  ])('%s', (_, shown, name) => {
    const watch = createWatch({ traces: true });
    watch.look('log', shown);
    expect(new Set(watch.report().leaks.map((leak) => leak.name))).toEqual(new Set([name]));
  });

  it('not where they may be, and not what only speaks of them', () => {
    const watch = createWatch({ traces: true });
    watch.allowTraces('/client');
    watch.look('/client/key.pem', pem);
    watch.look('log', 'the file must begin with -----BEGIN PRIVATE KEY-----');
    watch.look('log', JSON.stringify({ ...privateKey.export({ format: 'jwk' }), d: undefined }));
    watch.look('log', `${token.split('.')[0]}.${claims}.`);
    expect(watch.report().leaks).toEqual([]);
  });
});

describe('a place', () => {
  const found = (look: (watch: Watch) => void, may: readonly string[] = []) => {
    const watch = watchFor(VALUE, may);
    look(watch);
    return watch.report().leaks.map(({ place, offset }) => `${path.relative(folder, place)}@${offset}`);
  };

  it('is a file of any size, wherever in it the value lies', () => {
    const file = path.join(folder, 'large');
    const chunk = 4 * 1024 * 1024;
    for (const at of [0, 1, chunk - 1024, chunk - 10, chunk, 2 * chunk - 1030, 2 * chunk - VALUE.length]) {
      const bytes = Buffer.alloc(2 * chunk, '-');
      bytes.write(VALUE, at);
      fs.writeFileSync(file, bytes);
      expect(found((watch) => watch.lookFile(file))).toEqual([`large@${at}`]);
    }
    fs.rmSync(file);
  });

  it('is any file of a folder, a name, and a symbolic link; but not a socket, a pipe, or what was left out', () => {
    const root = fs.mkdtempSync(path.join(folder, 'below-'));
    const inner = path.join(root, 'a/b');
    fs.mkdirSync(inner, { recursive: true });
    fs.writeFileSync(path.join(inner, '.hidden'), `x${VALUE}`, { mode: 0 });
    fs.writeFileSync(path.join(inner, VALUE), '');
    fs.symlinkSync(`/nowhere/${VALUE}`, path.join(root, 'link'));
    fs.mkdirSync(path.join(root, 'out'));
    fs.writeFileSync(path.join(root, 'out/file'), VALUE);
    const base = path.relative(folder, root);
    const leaks = found((watch) => lookBelow(watch, root, (file) => file.endsWith('/out')));
    expect(leaks.toSorted()).toEqual(
      [`${base}/a/b/.hidden@1`, `${base}/link@9`, expect.stringMatching(/…@0$/)].toSorted(),
    );
  });

  it('is an argument, an environment variable or a name of a process or of its children', async () => {
    for (const [script, args, env] of [
      ['sleep 60 & wait', [VALUE], {}],
      ['sleep 60 & wait', [], { SECRET: VALUE }],
      [`sh -c 'sleep 60; : "$0"' ${VALUE} & wait`, [], {}],
    ] as const) {
      const child = own(
        spawn('/bin/sh', ['-c', script, 'sh', ...args], {
          env: { PATH: '/usr/bin:/bin', ...env },
          detached: true,
        }),
      );
      try {
        const leaks = await eventually('the leak', () => {
          const all = found((watch) => lookAtProcesses(watch, [child.pid ?? 0]));
          return all.length > 0 && all;
        });
        expect(leaks.join()).toMatch(/proc\/\d+\/(cmdline|environ)/);
        expect(found((watch) => lookAtProcesses(watch, [process.pid, 0]), ['/proc'])).toEqual([]);
      } finally {
        process.kill(-(child.pid ?? 0), 'SIGKILL');
      }
    }
  });

  it('is a core dump or a report that a crash left', () => {
    const root = fs.mkdtempSync(path.join(folder, 'dumps-'));
    for (const name of ['core', 'core.4711', 'report.20260101.000000.1.0.001.json', 'kept.txt'])
      fs.writeFileSync(path.join(root, name), `....${VALUE}`);
    expect(found((watch) => lookAtDumps(watch, root))).toHaveLength(3);
  });

  it('may hold what it is for, and below it; not what begins with its name', () => {
    const may = [path.join(folder, 'kept')];
    const look = (place: string) => found((watch) => watch.look(path.join(folder, place), VALUE), may);
    expect(look('kept')).toEqual([]);
    expect(look('kept/more/file')).toEqual([]);
    expect(look('kept2')).toEqual(['kept2@0']);
  });
});

describe('the registry', () => {
  it('collects the values of all tests for the end of the run, for its owner alone', () => {
    const registry = path.join(folder, 'registry');
    const [first, second] = [createWatch({ registry, traces: false }), createWatch({ registry, traces: false })];
    const key = randomBytes(32);
    first.add({ name: 'password', value: VALUE, may: [] });
    second.add({ name: 'key', value: key, may: [] });
    second.add({ name: 'word of a source', value: 'canary-of-people', may: [] }, { known: true });
    expect(readRegistry(registry)).toEqual([
      { name: 'password', value: Buffer.from(VALUE), may: [] },
      { name: 'key', value: key, may: [] },
    ]);
    expect(fs.statSync(registry).mode & 0o777).toBe(0o600);
  });

  it('is refused when it is missing or damaged', () => {
    const registry = path.join(folder, 'damaged');
    expect(() => readRegistry(registry)).toThrow(/ENOENT/);
    fs.writeFileSync(registry, '{}\n');
    expect(() => readRegistry(registry)).toThrow(/no canary/);
  });
});

it('a report names what, how and where, and never the value', () => {
  const watch = watchFor(VALUE);
  watch.look('/var/log/server.log', `secret=${VALUE}`);
  const report = watch.report();
  expect(describeLeaks(report.leaks)).toBe('the value (plain) in /var/log/server.log at 7');
  expect(JSON.stringify(report)).not.toContain(VALUE.slice(7, 16));
});

it('no test has its stack pass unsearched', () => {
  const tests = path.join(import.meta.dirname, '../..');
  const sources = fs.readdirSync(tests, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  // What foreign suites write into their database and its log is nobody's secret.
  const own = sources.filter((name) => !/(^|\/)(\.venv|target|node_modules)\/|^foreign\//.test(name));
  expect(own.length).toBeGreaterThan(50);
  expect(own.filter((name) => /isSearched:\s*false/.test(fs.readFileSync(path.join(tests, name), 'utf8')))).toEqual([]);
});
