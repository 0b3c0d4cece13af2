import { parseSpiffeId, parseTrustDomain } from '@countersign/sdk/identity';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTestStore, type TestStore } from '../../test/support/store.ts';
import { NO_ATTRIBUTES, type WrittenAttributes } from '../model/index.ts';
import { createManualClock, createSeededRandom, createSilentLog, type Service } from '../std/index.ts';
import { createRegistration, type EntryInput, type Registration, registrationMigrations } from './index.ts';

// Goal: what entries say of their identities is kept as they say it, and holds as far as all of an identity's entries agree.

const WEB = 'spiffe://example.org/web';
const NODE = 'spiffe://example.org/spire/agent/x509pop/1';
let test: TestStore;
let registration: Registration & Service;

function create(): Registration & Service {
  return createRegistration({
    ...{
      store: test.store,
      clock: createManualClock(0),
      random: createSeededRandom('principals'),
      log: createSilentLog(),
    },
    trustDomain: parseTrustDomain('example.org'),
    knowsTrustDomain: () => false,
  });
}

beforeEach(async () => {
  test = await openTestStore(registrationMigrations, { clock: createManualClock(0) });
  registration = create();
  await registration.start(new AbortController().signal);
});
afterEach(async () => {
  await registration.stop();
  await test.close();
});

const input = (id: string, attributes?: WrittenAttributes): EntryInput => ({
  ...{ id, spiffeId: WEB, parentId: NODE, selectors: [{ type: 'unix', value: `uid:${id.length}` }] },
  ...(attributes === undefined ? {} : { attributes }),
});
const OPS = { owner: 'ops', environment: 'prod', labels: { team: 'web', constructor: 'x' } };
const owners = (since?: number) => {
  const { whole, changes } = registration.principals.since(since);
  return { whole, owners: Array.from(changes, ([id, { owner }]) => `${id}=${owner}`) };
};

describe('attributes of an entry', () => {
  it('are kept, and read back by whoever starts later', async () => {
    await registration.batchCreate([input('a', OPS), input('bb')]);
    expect((await registration.get('a'))?.attributes).toEqual(OPS);
    expect([...(await registration.attributesOf(['a', 'bb', 'none']))]).toEqual([['a', OPS]]);
    await registration.stop();
    registration = create();
    await registration.start(new AbortController().signal);
    expect(registration.entriesOf(parseSpiffeId(WEB)).map(({ attributes }) => attributes)).toEqual(
      expect.arrayContaining([OPS, NO_ATTRIBUTES]),
    );
  });

  it('stay when an update says nothing of them, with a mask and without, and go when it says so', async () => {
    await registration.batchCreate([input('a', OPS)]);
    const { id: _, ...entry } = input('a');
    await registration.batchUpdate([{ id: 'a', entry: { ...entry, hint: 'x' } }]);
    await registration.batchUpdate([{ id: 'a', entry: { hint: 'y' }, mask: new Set(['hint']) }]);
    expect(await registration.get('a')).toMatchObject({ hint: 'y', attributes: OPS });
    await registration.batchUpdate([{ id: 'a', entry: { ...entry, attributes: {} } }]);
    expect((await registration.get('a'))?.attributes).toBe(NO_ATTRIBUTES);
  });

  it('that can not be are refused with what is allowed, and nothing is written', async () => {
    const [result] = await registration.batchCreate([input('a', { owner: 'a\u001bb' })]);
    expect(result).toEqual({ status: 'invalid', message: expect.stringMatching(/owner is one line of text/) });
    expect(await registration.count()).toBe(0);
  });
});

describe('principals', () => {
  it('are the identities that have attributes, those on which all of their entries agree', async () => {
    await registration.batchCreate([input('a', OPS)]);
    expect(owners()).toEqual({ whole: true, owners: [`${WEB}=ops`] });
    await registration.batchCreate([input('bb', { ...OPS, owner: 'dev' })]);
    expect(registration.principals.since(undefined).changes.get(WEB)).toEqual({ ...OPS, owner: '' });
    await registration.batchDelete(['a']);
    expect(owners().owners).toEqual([`${WEB}=dev`]);
    await registration.batchDelete(['bb']);
    expect(owners().owners).toEqual([]);
  });

  it('are told by difference since a revision, each as it is now, and only real changes make a new one', async () => {
    const before = registration.principals.revision();
    let told = 0;
    registration.principals.onChange(() => told++);
    await registration.batchCreate([input('a', OPS)]);
    await registration.batchUpdate([{ id: 'a', entry: { ...input('a'), attributes: { owner: 'new' } } }]);
    expect(owners(before)).toEqual({ whole: false, owners: [`${WEB}=new`] });
    const after = registration.principals.revision();
    await registration.batchCreate([{ ...input('ccc'), spiffeId: `${WEB}/other` }]);
    await registration.batchUpdate([{ id: 'a', entry: { ...input('a'), hint: 'x' } }]);
    expect([registration.principals.revision(), told]).toEqual([after, 2]);
    await registration.batchDelete(['a']);
    expect(owners(after)).toEqual({ whole: false, owners: [`${WEB}=`] });
    expect(owners(after + 1_000).whole).toBe(true);
  });
});
