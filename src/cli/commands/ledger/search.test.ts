// Goal: whoever holds the gateway's key finds a statement with its values in the ledger; whoever does not is told what is lacking, and learns nothing.
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDigestKey } from '../../../app/digest-key.ts';
import { createContentDigester } from '../../../gateway/index.ts';
import { createLedger } from '../../../ledger/index.ts';
import { event, never, realDeps, testDirectory } from '../../../ledger/testing/ledger-fixture.ts';
import type { Content } from '../../../model/index.ts';
import { createSilentLog, createSystemRandom } from '../../../std/index.ts';
import { askCommand } from '../../testing/ask-command.ts';
import { command } from './search.ts';

const folder = testDirectory();
const parent = dirname(folder.directory);
const file = (name: string) => join(parent, name);
const PIN = 'select id from people where pin = $1 and born = $2';
const HEX = '5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8';

const deps = { random: createSystemRandom(), log: createSilentLog() };

beforeAll(async () => {
  const before = createContentDigester(openDigestKey(parent, deps).key);
  rmSync(file('digest.key'));
  const digester = createContentDigester(openDigestKey(parent, deps).key);
  const ledger = createLedger(realDeps(folder.directory));
  await ledger.start(never);
  const said = (session: string, contentDigest: string) => ledger.append(event({ session, detail: { contentDigest } }));
  const of = (text: string, values: readonly (string | null)[] = [], formats: readonly number[] = []): Content => ({
    ...{ text, formats },
    values: values.map((value) => (value === null ? null : Buffer.from(value))),
  });
  said('plain', digester.digest(of('delete from people;')));
  said('bound', digester.digest(of(PIN, ['4711', null])));
  said('mixed', digester.digest(of('select $1, $2', ['a', 'b'], [0, 1])));
  said('empty', digester.digest(of('select $1', [''])));
  said('null', digester.digest(of('select $1', [null])));
  said('old', before.digest(of('delete from people;')));
  said('unkeyed', HEX);
  ledger.append(event({ session: 'untold', detail: {} }));
  await ledger.stop();
});
afterAll(() => folder.remove());

/** The session of the newest entry that is found, and what is warned of. */
async function found(content: string, values?: readonly (string | null)[], more: Record<string, string> = {}) {
  writeFileSync(file('content'), content);
  if (values !== undefined) writeFileSync(file('values'), JSON.stringify(values));
  const given = { dir: folder.directory, content: file('content') };
  const bound = values === undefined ? {} : { values: file('values') };
  const { value, warned } = await askCommand({ ...given, ...bound, lines: '1', ...more }, command);
  return { session: Object(value).session, warned };
}

describe('a search by what was asked', () => {
  const asked = testDirectory();
  afterAll(() => asked.remove());
  beforeAll(async () => {
    const ledger = createLedger(realDeps(asked.directory));
    await ledger.start(never);
    const intent = (operation: string, id: string) =>
      ledger.append(
        event({
          ...{ kind: 'intent', session: 's', operation, action: 'http:get', target: 'api' },
          detail: {
            policies: [`may-${id}`],
            questions: [{ action: 'http:get', resource: { type: 'Http::Route', id } }],
          },
        }),
      );
    const outcome = (operation: string, session = 's') =>
      ledger.append(
        event({ kind: 'outcome', session, operation, action: 'http:get', target: 'api', detail: { status: 'done' } }),
      );
    intent('1', 'api/customer');
    intent('2', 'api/order');
    outcome('2');
    outcome('1', 'another');
    outcome('1');
    outcome('1');
    await ledger.stop();
  });
  const all = async (options: Record<string, string>) => {
    const { values } = await askCommand({ dir: asked.directory, ...options }, command);
    return values
      .map((value) => Object(value))
      .map(({ kind, operation, session }) => `${kind} ${session} ${operation}`);
  };

  it.each([
    [{ object: 'api/customer' }],
    [{ policy: 'may-api/customer' }],
  ])('finds it with its outcome, and no other: %j', async (options) => {
    expect(await all(options)).toEqual(['intent s 1', 'outcome s 1']);
  });

  it('finds outcomes alone where these are asked for', async () => {
    expect(await all({ object: 'api/order', kind: 'outcome' })).toEqual(['outcome s 2']);
    expect(await all({ object: 'api/order', kind: 'intent' })).toEqual(['intent s 2']);
  });

  it('finds what says the name itself, such as of its target', async () => {
    expect((await all({ object: 'api', kind: 'outcome' })).length).toBe(4);
  });
});

describe('a search for content, with the key', () => {
  it.each([
    ['as it was sent', 'delete from people;'],
    ['with the line end of an editor', 'delete from people;\n'],
    ['without its semicolon', 'delete from people'],
  ])('finds a statement %s', async (_, text) => {
    expect((await found(text)).session).toBe('plain');
  });

  it.each<[string, string, (string | null)[] | undefined, string | undefined]>([
    ['those values', PIN, ['4711', null], 'bound'],
    ['values in either form', 'select $1, $2', ['a', 'b'], 'mixed'],
    ['an empty value', 'select $1', [''], 'empty'],
    ['null', 'select $1', [null], 'null'],
    ['another value', PIN, ['4712', null], undefined],
    ['values in another order', 'select $1, $2', ['b', 'a'], undefined],
    ['a value less', PIN, ['4711'], undefined],
    ['no values, where there were some', PIN, undefined, undefined],
    ['nine values, of which each may have either form', 'select', Array.from({ length: 9 }, () => 'a'), undefined],
    ['another text', 'delete from peoples', undefined, undefined],
  ])('finds a statement with %s, or not, as it was', async (_, text, values, session) => {
    expect((await found(text, values)).session).toBe(session);
  });

  it('tells of entries by another key, or by none, that they were not compared', async () => {
    const { warned } = await found('delete from people;');
    expect(warned).toEqual([
      expect.stringMatching(/^2 entries were not compared: made with another key than [\w-]{8} \([\w-]{8}, none\)$/),
    ]);
    expect((await found('delete from people;', undefined, { session: 'plain' })).warned).toEqual([]);
  });
});

describe('a search for content, without', () => {
  it('the key says which it takes', async () => {
    await expect(found('x', undefined, { digestKey: file('nowhere') })).rejects.toThrow(
      /content is found by a key, and there is none in .*nowhere; name the gateway's with --digest-key/,
    );
  });

  it('the right key finds nothing, and says so', async () => {
    writeFileSync(file('other.key'), `${'A'.repeat(43)}\n`, { mode: 0o600 });
    const { session, warned } = await found('delete from people;', undefined, { digestKey: file('other.key') });
    expect([session, warned]).toEqual([undefined, [expect.stringContaining('7 entries were not compared')]]);
  });

  it('a whole key takes it for none', async () => {
    writeFileSync(file('short.key'), 'AAAA\n', { mode: 0o600 });
    await expect(found('x', undefined, { digestKey: file('short.key') })).rejects.toThrow(
      /is no key of content digests/,
    );
  });

  it('a key that is closed to others refuses it', async () => {
    writeFileSync(file('open.key'), `${'A'.repeat(43)}\n`);
    chmodSync(file('open.key'), 0o644);
    await expect(found('x', undefined, { digestKey: file('open.key') })).rejects.toThrow(/mode 0644/);
  });

  it('a statement does not take values', async () => {
    const options = { dir: folder.directory, values: file('values') };
    await expect(askCommand(options, command)).rejects.toThrow(/name its file with --content/);
  });

  it.each([
    '{',
    '{"a":1}',
    '[42]',
    '"4711"',
  ])('an array of texts and null does not take %s, nor quote it', async (text) => {
    writeFileSync(file('content'), 'x');
    writeFileSync(file('values'), text);
    const asked = askCommand({ dir: folder.directory, content: file('content'), values: file('values') }, command);
    await expect(asked).rejects.toThrow(
      /^the file of --values holds a JSON array of texts and null, such as \["42", null\]$/,
    );
  });
});
