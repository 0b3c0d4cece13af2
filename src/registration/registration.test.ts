import { parseSpiffeId, parseTrustDomain } from '@countersign/sdk/identity';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTestStore, type TestStore } from '../../test/support/store.ts';
import { type Entry, parseSelector, type Selector } from '../model/index.ts';
import {
  type Clock,
  createManualClock,
  createSeededRandom,
  createSilentLog,
  type ManualClock,
  type Service,
} from '../std/index.ts';
import type { Store } from '../store/index.ts';
import {
  createRegistration,
  type EntryInput,
  type EntryResult,
  type Registration,
  registrationMigrations,
} from './index.ts';

const signal = new AbortController().signal;
const START_MS = 1_700_000_000_000;
const NODE = parseSpiffeId('spiffe://example.org/spire/agent/x509pop/1');
let test: TestStore;
let clock: ManualClock;
let registration: Registration & Service;

function create(store: Store, on: Clock = clock, seed = 'registration'): Registration & Service {
  return createRegistration({
    store,
    clock: on,
    random: createSeededRandom(seed),
    log: createSilentLog(),
    trustDomain: parseTrustDomain('example.org'),
    knowsTrustDomain: (name) => name.endsWith('.known'),
  });
}

beforeEach(async () => {
  clock = createManualClock(START_MS);
  test = await openTestStore(registrationMigrations, { clock });
  registration = create(test.store);
  await registration.start(signal);
});
afterEach(async () => {
  await registration.stop();
  await test.close();
});

const selectors = (...texts: string[]) =>
  texts.map((text): Selector => parseSelector(text) ?? { type: text, value: '' });

function input(name: string, change: Partial<EntryInput> = {}): EntryInput {
  return {
    spiffeId: `spiffe://example.org/${name}`,
    parentId: NODE.uri,
    selectors: selectors('unix:uid:1000'),
    ...change,
  };
}

async function add(...inputs: readonly EntryInput[]): Promise<readonly Entry[]> {
  return (await registration.batchCreate(inputs)).map(entryOf);
}

function entryOf(result: EntryResult | undefined): Entry {
  if (result?.status !== 'ok') throw new Error(`not ok: ${JSON.stringify(result)}`);
  return result.entry;
}

const authorized = (nodeSelectors: readonly Selector[] = []) =>
  registration
    .authorizedEntries(NODE, nodeSelectors)
    .map((entry) => entry.spiffeId.path)
    .sort();

describe('creating entries', () => {
  it('gives each an id, a creation time and revision 0, and shows it at once', async () => {
    const [entry] = await add(input('web', { hint: 'default', dnsNames: ['web.example'], x509SvidTtlS: 60 }));
    expect(entry).toMatchObject({ revisionNumber: 0, createdAtS: START_MS / 1000, hint: 'default' });
    expect(entry?.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(await registration.get(entry?.id ?? '')).toEqual(entry);
    expect(authorized()).toEqual(['/web']);
  });

  it('answers item by item, in order: good, bad, existing, twice in one batch, taken id', async () => {
    const [old] = await add(input('old', { id: 'old-id' }));
    const results = await registration.batchCreate([
      input('a'),
      input('bad', { selectors: [] }),
      input('old', { selectors: selectors('unix:uid:1000', 'unix:uid:1000') }),
      input('a'),
      input('b', { id: 'old-id' }),
      input('c', { id: 'no/slash' }),
    ]);
    expect(results.map((result) => result.status)).toEqual([
      'ok',
      'invalid',
      'already-exists',
      'already-exists',
      'already-exists',
      'invalid',
    ]);
    expect(results[2]).toMatchObject({ entry: old });
    expect(results[3]).toMatchObject({ entry: entryOf(results[0]) });
    expect(authorized()).toEqual(['/a', '/old']);
  });

  it('takes 1,000 at once and refuses more', async () => {
    const many = Array.from({ length: 1000 }, (_, n) =>
      input(`n${n}`, { selectors: selectors(`a:${n}`, 'b:1', 'c:1') }),
    );
    expect((await registration.batchCreate(many)).every((result) => result.status === 'ok')).toBe(true);
    expect(await registration.count()).toBe(1000);
    await expect(registration.batchCreate([...many, input('more')])).rejects.toMatchObject({
      code: 'ERR_REGISTRATION_REQUEST',
    });
  });

  it('leaves nothing behind when its signal aborts', async () => {
    const before = registration.revision();
    await expect(registration.batchCreate([input('a')], { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect({ count: await registration.count(), revision: registration.revision() }).toEqual({
      count: 0,
      revision: before,
    });
  });
});

describe('updating entries', () => {
  it('changes the masked fields only, raises the revision number and keeps id and creation time', async () => {
    const [entry] = await add(input('web', { hint: 'h', dnsNames: ['a.example'], federatesWith: ['b.known'] }));
    await clock.advance(5000);
    const [result] = await registration.batchUpdate([
      { id: entry?.id ?? '', entry: { hint: 'new', dnsNames: ['ignored.example'] }, mask: new Set(['hint']) },
    ]);
    expect(entryOf(result)).toEqual({ ...entry, hint: 'new', revisionNumber: 1 });
    expect(await registration.get(entry?.id ?? '')).toEqual(entryOf(result));
  });

  it('empties a masked field that is not given, and takes all fields without a mask', async () => {
    const [entry] = await add(input('web', { hint: 'h', dnsNames: ['a.example'], admin: true }));
    const id = entry?.id ?? '';
    const [emptied] = await registration.batchUpdate([{ id, entry: {}, mask: new Set(['hint', 'dnsNames']) }]);
    expect(entryOf(emptied)).toMatchObject({ hint: '', dnsNames: [], admin: true });
    const [all] = await registration.batchUpdate([{ id, entry: input('other') }]);
    expect(entryOf(all)).toMatchObject({ admin: false, spiffeId: { path: '/other' }, revisionNumber: 2 });
    const [none] = await registration.batchUpdate([{ id, entry: {}, mask: new Set(['selectors']) }]);
    expect(none).toMatchObject({ status: 'invalid', message: expect.stringMatching(/at least one selector/) });
  });

  it('says what is not there, and what would be the same as another', async () => {
    const [one, two] = await add(input('one'), input('two'));
    const results = await registration.batchUpdate([
      { id: 'missing', entry: {}, mask: new Set(['hint']) },
      { id: two?.id ?? '', entry: { spiffeId: 'spiffe://example.org/one' }, mask: new Set(['spiffeId']) },
    ]);
    expect(results).toMatchObject([{ status: 'not-found' }, { status: 'already-exists', entry: one }]);
  });

  it('moves an entry to another node and to other selectors, for filters too', async () => {
    const [entry] = await add(input('web'));
    await registration.batchUpdate([
      {
        id: entry?.id ?? '',
        entry: { parentId: 'spiffe://example.org/spire/agent/x509pop/2', selectors: selectors('unix:gid:7') },
        mask: new Set(['parentId', 'selectors']),
      },
    ]);
    expect(authorized()).toEqual([]);
    const filter = (text: string) => ({ selectors: { values: selectors(text), match: 'exact' as const } });
    expect(await registration.count(filter('unix:gid:7'))).toBe(1);
    expect(await registration.count(filter('unix:uid:1000'))).toBe(0);
  });

  it('applies several updates of one entry one after the other', async () => {
    const [entry] = await add(input('web'));
    const id = entry?.id ?? '';
    const hints = ['a', 'b', 'c'].map((hint) => ({ id, entry: { hint }, mask: new Set(['hint'] as const) }));
    await registration.batchUpdate(hints);
    expect(registration.entryFor(id, NODE, [])).toMatchObject({ hint: 'c', revisionNumber: 3 });
  });
});

describe('deleting entries', () => {
  it('answers item by item and takes them out at once', async () => {
    const [a, b] = await add(input('a'), input('b'));
    const results = await registration.batchDelete([a?.id ?? '', 'missing', a?.id ?? '', '']);
    expect(results.map((result) => result.status)).toEqual(['ok', 'not-found', 'not-found', 'invalid']);
    expect(authorized()).toEqual(['/b']);
    expect(await registration.get(a?.id ?? '')).toBeUndefined();
    expect(registration.entryFor(a?.id ?? '', NODE, [])).toBeUndefined();
    expect(registration.entryFor(b?.id ?? '', NODE, [])).toEqual(b);
  });
});

describe('listing entries', () => {
  beforeEach(async () => {
    await add(
      input('a', { id: '1', selectors: selectors('t:a'), hint: 'x' }),
      input('b', { id: '2', selectors: selectors('t:a', 't:b'), federatesWith: ['one.known'] }),
      input('c', { id: '3', selectors: selectors('t:a', 't:b', 't:c'), federatesWith: ['one.known', 'two.known'] }),
      input('d', {
        id: '4',
        selectors: selectors('t:d'),
        downstream: true,
        parentId: 'spiffe://example.org/spire/agent/x509pop/2',
      }),
    );
  });
  const found = async (filter: Parameters<Registration['count']>[0]) => {
    const { entries } = await registration.list({ filter: filter ?? {} });
    expect(await registration.count(filter)).toBe(entries.length);
    return entries.map((entry) => entry.id).join('');
  };

  it.each([
    ['exact', '2'],
    ['subset', '12'],
    ['superset', '23'],
    ['any', '123'],
  ] as const)('compares selectors: %s', async (match, expected) => {
    expect(await found({ selectors: { values: selectors('t:a', 't:b', 't:b'), match } })).toBe(expected);
  });

  it.each([
    ['exact', '3'],
    ['subset', '23'],
    ['superset', '3'],
    ['any', '23'],
  ] as const)('compares trust domains: %s', async (match, expected) => {
    expect(
      await found({
        federatesWith: { values: ['one.known', 'two.known', ...(match === 'subset' ? ['other.known'] : [])], match },
      }),
    ).toBe(expected);
  });

  it('filters by identity, parent, hint and downstream, all together', async () => {
    expect(await found({ spiffeId: 'spiffe://example.org/b' })).toBe('2');
    expect(await found({ parentId: 'spiffe://example.org/spire/agent/x509pop/2' })).toBe('4');
    expect(await found({ hint: 'x' })).toBe('1');
    expect(await found({ hint: '' })).toBe('234');
    expect(await found({ downstream: true })).toBe('4');
    expect(await found({ downstream: false, hint: '', selectors: { values: selectors('t:c'), match: 'any' } })).toBe(
      '3',
    );
  });

  it('goes through pages without losing or repeating one, while others are created and deleted', async () => {
    const first = await registration.list({ pageSize: 2 });
    expect(first.entries.map((entry) => entry.id)).toEqual(['1', '2']);
    await registration.batchDelete(['2', '3']);
    await add(input('e', { id: '0' }), input('f', { id: '5' }));
    const second = await registration.list({ pageSize: 2, pageToken: first.nextPageToken });
    expect(second.entries.map((entry) => entry.id)).toEqual(['4', '5']);
    expect(second.nextPageToken).toBe('');
  });

  it.each([
    ['a negative page size', { pageSize: -1 }],
    ['a made-up page token', { pageToken: "' or 1=1" }],
    ['a filter without selectors', { filter: { selectors: { values: [], match: 'any' as const } } }],
  ])('refuses %s', async (_what, request) => {
    await expect(registration.list(request)).rejects.toMatchObject({ code: 'ERR_REGISTRATION_REQUEST' });
  });
});

describe('what an agent may issue', () => {
  it('includes entries of aliases of the node and, below them, of entries', async () => {
    await add(
      input('cluster', {
        parentId: 'spiffe://example.org/spire/server',
        selectors: selectors('x509pop:ca:1', 'x509pop:cn:n'),
      }),
      input('web', { parentId: 'spiffe://example.org/cluster' }),
      input('sidecar', { parentId: 'spiffe://example.org/web' }),
      input('own'),
      input('elsewhere', { parentId: 'spiffe://example.org/spire/agent/x509pop/2' }),
    );
    expect(authorized()).toEqual(['/own']);
    expect(authorized(selectors('x509pop:ca:1'))).toEqual(['/own']);
    expect(authorized(selectors('x509pop:ca:1', 'x509pop:cn:n', 'more:1'))).toEqual(['/own', '/sidecar', '/web']);
  });

  it('never includes an expired entry, which is deleted soon after, and time set back does not bring it back', async () => {
    const [entry] = await add(input('web', { expiresAtS: START_MS / 1000 + 100 }), input('stays'));
    await clock.advance(99_999);
    expect(authorized()).toEqual(['/stays', '/web']);
    const gone = new Promise<number>((resolve) => registration.watchNode({ id: NODE, selectors: [] }, resolve));
    clock.step(1);
    expect(authorized()).toEqual(['/stays']);
    await clock.advance(60_000);
    expect(await gone).toBe(registration.revision());
    clock.step(-3_600_000);
    expect(authorized()).toEqual(['/stays']);
    expect(await registration.get(entry?.id ?? '')).toBeUndefined();
  });

  it('is not answered before the entries are loaded', () => {
    const early = create(test.store);
    const question = () => early.authorizedEntries(NODE, []);
    expect(question).toThrow(expect.objectContaining({ code: 'ERR_REGISTRATION_NOT_READY' }));
    expect(() => early.entryFor('x', NODE, [])).toThrow(
      expect.objectContaining({ code: 'ERR_REGISTRATION_NOT_READY' }),
    );
  });

  it('is the same after a restart', async () => {
    const [entry] = await add(
      input('web', {
        federatesWith: ['b.known'],
        dnsNames: ['x.example'],
        storeSvid: true,
        expiresAtS: START_MS / 1000 + 9,
      }),
    );
    const revision = registration.revision();
    await registration.stop();
    await test.reopen();
    registration = create(test.store);
    await registration.start(signal);
    expect(registration.authorizedEntries(NODE, [])).toEqual([entry]);
    expect(registration.revision()).toBe(revision);
  });

  it('tells who an identity is, wherever it is parented', async () => {
    await add(input('admin', { admin: true }));
    expect(registration.entriesOf(parseSpiffeId('spiffe://example.org/admin')).map((entry) => entry.admin)).toEqual([
      true,
    ]);
    expect(registration.entriesOf(parseSpiffeId('spiffe://example.org/none'))).toEqual([]);
  });
});

describe('changes', () => {
  it('raise the revision and are told to those whom they concern', async () => {
    const told: string[] = [];
    const other = parseSpiffeId('spiffe://example.org/spire/agent/x509pop/2');
    registration.watchNode({ id: NODE, selectors: [] }, (revision) => told.push(`node ${revision}`));
    registration.watchNode({ id: other, selectors: [] }, (revision) => told.push(`other ${revision}`));
    const stop = registration.onChange((revision) => told.push(`all ${revision}`));
    await add(input('a'), input('b'));
    stop();
    await add(input('c', { parentId: other.uri }));
    await registration.batchCreate([input('a')]);
    expect(told).toEqual(['node 2', 'all 2', 'other 3']);
  });
});

describe('declared entries', () => {
  it.each([
    ['that are new', 0, 1],
    ['that are there', 1, 1],
    ['that are so many that they are written in several batches', 0, 1_000],
  ])('%s may be declared once each', async (_, present, others) => {
    if (present > 0) await add(input('web', { id: 'web' }));
    const between = Array.from({ length: others }, (_, n) => input(`other-${n}`, { id: `other-${n}` }));
    const inputs = [input('web', { id: 'web', hint: 'one' }), ...between, input('web', { id: 'web', hint: 'two' })];
    const results = await registration.declare(inputs).rehearse({ signal });
    expect(results.slice(0, -1).map(({ status }) => status)).toEqual(inputs.slice(1).map(() => 'ok'));
    expect(results.at(-1)).toEqual({ status: 'invalid', message: 'it is declared twice' });
  });
});
