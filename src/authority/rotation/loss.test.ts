// Goal: a server never becomes a stranger to its agents in silence: what its keystore or its store has lost is named, and nothing is destroyed.
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { parseTrustDomain } from '@countersign/sdk/identity';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createManualClock,
  createSilentLog,
  createSystemRandom,
  type Service,
  startAll,
  stopAll,
} from '../../std/index.ts';
import { member as sqlite } from '../../store/engines/sqlite/index.ts';
import type { Store } from '../../store/index.ts';
import { type AuthorityOptions, createAuthority, type KeystoreMember } from '../index.ts';
import { type AuthorityTables, authorityMigrations } from '../journal.ts';
import { member as disk } from '../keystores/disk/index.ts';
import { member as memory } from '../keystores/memory/index.ts';

const signal = new AbortController().signal;
const HOUR_MS = 3_600_000;
const clock = createManualClock(1_800_000_000_000);

let folder: string;
let started: Service[];

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'loss-'));
  started = [];
});
afterEach(async () => {
  await stopAll(started);
  fs.rmSync(folder, { recursive: true });
});

const at = (name: string) => path.join(folder, name);

async function openStore(name = 'store'): Promise<Store & Service> {
  const store = await sqlite.open({ file: path.join(at(name), 'store.db') }, { clock, log: createSilentLog() });
  await store.start(signal);
  started.push(store);
  await store.migrate(authorityMigrations);
  return store;
}

async function start(store: Store, changes: Partial<AuthorityOptions> = {}, member: KeystoreMember = disk) {
  const deps = { log: createSilentLog(), random: createSystemRandom() };
  const keystore = await member.open(member === disk ? { directory: at('keys') } : {}, deps);
  const options: AuthorityOptions = {
    ...{ x509KeyType: 'ec-p256', jwtKeyType: 'ec-p256', serverId: 'a' },
    ...{ caTtlMs: 24 * HOUR_MS, x509SvidTtlMs: HOUR_MS, jwtSvidTtlMs: 300_000 },
    ...changes,
  };
  const authority = createAuthority({
    ...{ store, keystore, clock, trustDomain: parseTrustDomain('example.org'), options },
    ...deps,
  });
  await startAll([keystore, authority], signal);
  const stop = () => stopAll([keystore, authority]);
  return { authority, stop };
}

async function runOnce(store: Store): Promise<string | undefined> {
  const { authority, stop } = await start(store);
  const id = authority.authorities().find(({ kind, state }) => kind === 'x509' && state === 'active')?.id;
  await stop();
  return id;
}

describe('a keystore without the key that agents know the server by', () => {
  it('keeps the server from starting, and leaves the journal as it is for the backup that is brought back', async () => {
    const store = await openStore();
    const id = await runOnce(store);
    fs.renameSync(at('keys'), at('backup'));
    await expect(start(store)).rejects.toMatchObject({
      code: 'ERR_AUTHORITY_KEYS_LOST',
      message: expect.stringContaining(`no key of the authority ${id}`),
      entry: { exit: 'config', remedy: expect.stringContaining('--accept-loss') },
    });
    fs.rmSync(at('keys'), { recursive: true });
    fs.renameSync(at('backup'), at('keys'));
    expect(await runOnce(store)).toBe(id);
  });

  it('is told apart from a store that is older than the keystore, whose keys are then kept', async () => {
    const store = await openStore();
    await runOnce(store);
    fs.cpSync(at('store'), at('old'), { recursive: true });
    const { authority, stop } = await start(store);
    await authority.prepare('x509', signal);
    await authority.activate('x509', signal);
    await stop();
    const keys = fs.readdirSync(path.join(at('keys'), 'keys'));
    await expect(start(await openStore('old'))).rejects.toMatchObject({
      code: 'ERR_AUTHORITY_KEYS_LOST',
      message: expect.stringContaining('the store is older than the keystore'),
    });
    expect(fs.readdirSync(path.join(at('keys'), 'keys'))).toEqual(keys);
    await runOnce(store);
  });

  it('is gone on without by order, and the lost authority is named until it expires', async () => {
    const store = await openStore();
    const id = await runOnce(store);
    fs.rmSync(at('keys'), { recursive: true });
    const { authority, stop } = await start(store, { acceptLoss: true });
    expect(authority.lost()).toMatchObject([{ id, kind: 'x509' }]);
    await clock.advance(25 * HOUR_MS);
    expect(authority.lost()).toEqual([]);
    await stop();
  });

  it('is no loss while the next authority is published already', async () => {
    const store = await openStore();
    const { authority, stop } = await start(store);
    const { id } = await authority.prepare('x509', signal);
    const active = authority.authorities().find((one) => one.kind === 'x509' && one.state === 'active')?.id;
    await stop();
    const rows = await store.db<AuthorityTables>().selectFrom('authority_keys').selectAll().execute();
    const keyId = rows.find((row) => row.id === active)?.key_id;
    fs.rmSync(path.join(at('keys'), 'keys', `${keyId}.key`));
    expect(await runOnce(store)).toBe(id);
  });

  it('is no loss of a keystore that forgets, nor where another server can tell agents of the new one', async () => {
    const store = await openStore();
    await (await start(store, {}, memory)).stop();
    const again = await start(store, {}, memory);
    expect(again.authority.lost()).toHaveLength(1);
    await again.stop();
    await (await start(store, { serverId: 'b' })).stop();
    fs.rmSync(at('keys'), { recursive: true });
    await (await start(store, { serverId: 'b' })).stop();
  });
});

describe('a store that has lost its data', () => {
  it('keeps a server with keys from starting, and its keys are kept', async () => {
    const store = await openStore();
    const id = await runOnce(store);
    const keys = fs.readdirSync(path.join(at('keys'), 'keys'));
    await expect(start(await openStore('empty'))).rejects.toMatchObject({
      code: 'ERR_AUTHORITY_STORE_LOST',
      entry: { exit: 'config' },
    });
    expect(fs.readdirSync(path.join(at('keys'), 'keys'))).toEqual(keys);
    expect(await runOnce(store)).toBe(id);
  });

  it('is begun anew by order', async () => {
    await runOnce(await openStore());
    const { authority, stop } = await start(await openStore('empty'), { acceptLoss: true });
    expect(authority.unable()).toEqual([]);
    await stop();
  });

  it('is not taken for a first start that was cut off after its first key', async () => {
    const keystore = disk.open({ directory: at('keys') }, { log: createSilentLog(), random: createSystemRandom() });
    await keystore.start(signal);
    await keystore.generate('x509.a.0011223344556677', 'ec-p256', signal);
    await keystore.stop();
    await expect(runOnce(await openStore())).resolves.toBeDefined();
  });

  it('while the server runs: what is published stays, and the condition is told until the data is back', async () => {
    const store = await openStore();
    const { authority, stop } = await start(store);
    const bundle = authority.bundle();
    const db = store.db<AuthorityTables>();
    const kept = await db.selectFrom('authority_bundles').selectAll().execute();
    await db.deleteFrom('authority_bundles').execute();
    await expect(authority.prepare('x509', signal)).rejects.toMatchObject({ code: 'ERR_AUTHORITY_STORE_LOST' });
    await clock.advance(10_000);
    await expect.poll(() => authority.problem()).toMatchObject({ code: 'ERR_AUTHORITY_STORE_LOST' });
    expect(authority.bundle()).toEqual(bundle);
    await db.insertInto('authority_bundles').values(kept).execute();
    await clock.advance(10_000);
    await expect.poll(() => authority.problem()).toBeUndefined();
    await stop();
  });
});

it('an authority that can sign nothing any more says of what kind', async () => {
  const store = await openStore();
  const { authority, stop } = await start(store);
  expect(authority.unable()).toEqual([]);
  Object.assign(store, { transaction: () => Promise.reject(new Error('the store is away')) });
  await clock.advance(25 * HOUR_MS);
  expect(authority.unable()).toEqual(['x509', 'jwt']);
  await stop();
});
