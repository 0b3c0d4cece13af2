/**
 * The record: what is done at a gateway is found at the server, whole and once, whatever is killed in between; and a ledger that was edited,
 * truncated, rolled back or forked, or of which nothing is heard, is named there.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FRAME_HEADER_BYTES, parseFrame, writeFrameHeader } from '../../src/wire/tlog/index.ts';
import { eventually } from '../support/eventually.ts';
import { listed } from '../support/listed.ts';
import { mayLackPsql } from '../support/psql.ts';
import { type Stack, startStack } from '../support/stack.ts';

interface Log {
  readonly id: number;
  readonly origin: string;
  readonly entries: number;
  readonly state: string;
}

let stack: Stack;
beforeAll(async () => {
  stack = await startStack({
    seed: 'create table kept (id text); grant all on kept to shop_app;',
    settings: { server: { silence: '12s' } },
  });
});
afterAll(() => stack?.stop());

async function logOf(role: 'gateway' | 'server'): Promise<Log | undefined> {
  const logs = (await listed(stack, ['record', 'logs'])) as unknown as readonly Log[]; // As `record logs --json` has it.
  return logs.findLast(({ origin }) => origin.includes(`/${role}/`));
}

/** Resolves once all that the gateway's ledger holds is in the record, and compares it entry by entry. */
async function shippedWhole(): Promise<void> {
  const entries = await stack.ledger();
  await eventually('all is shipped', async () => ((await logOf('gateway'))?.entries ?? 0) >= entries.length, {
    withinMs: 40_000,
  });
  const log = await logOf('gateway');
  const found = await listed(stack, ['record', 'search', '-n', '100000']);
  const own = found.filter(({ log: id }) => id === log?.id).map(({ log: _, ...entry }) => entry);
  const bySeq = own.toSorted((a, b) => Number(a['seq']) - Number(b['seq']));
  expect(bySeq.map(({ seq }) => seq)).toEqual(bySeq.map((_, n) => n));
  expect(bySeq.slice(0, entries.length)).toEqual(entries);
}

const write = (word: string) => stack.psql(`insert into kept values ('${word}'); select * from kept;`);
const isNamed = (alarm: string) =>
  eventually(`it is named: ${alarm}`, async () => (await logOf('gateway'))?.state === alarm, { withinMs: 40_000 });

const dataOf = () => stack.folder.data.gateway;

/** Where each entry of the ledger's newest segment stands, by its number; and the file. */
function segment() {
  const folder = path.join(dataOf(), 'ledger/segments');
  for (const name of fs.readdirSync(folder).toSorted().toReversed()) {
    const file = path.join(folder, name);
    const bytes = fs.readFileSync(file);
    const at = new Map<number, { offset: number; end: number; unsynced: number }>();
    for (let offset = 0; ; ) {
      const frame = parseFrame(bytes, offset);
      if (frame.kind !== 'frame') break;
      const { seq } = JSON.parse(frame.payload.toString());
      if (typeof seq === 'number') at.set(seq, { offset, end: frame.end, unsynced: frame.unsynced });
      offset = frame.end;
    }
    if (at.size > 0) return { file, bytes, at };
  }
  throw new Error('the ledger has no entry');
}

/** Writes over a file in its place: the gateway has it open. */
function put(file: string, bytes: Buffer, offset: number): void {
  const descriptor = fs.openSync(file, 'r+');
  fs.writeSync(descriptor, bytes, 0, bytes.length, offset);
  fs.closeSync(descriptor);
}

/** Has entries written while no server is there, changes them, and starts the server; resolves to the way to undo it. */
async function whileAway(change: (seq: number) => () => void): Promise<() => void> {
  await shippedWhole();
  const first = (await stack.ledger()).length;
  await stack.roles.server.end('SIGTERM');
  for (let n = 0; n < 3; n++) await write(`away ${n}`);
  await eventually('all is signed', () => isSigned(first + 6));
  const undo = change(first + 3);
  stack.roles.server.start();
  await stack.roles.server.ready();
  return undo;
}

function isSigned(size: number): boolean {
  const [, signed] = fs.readFileSync(path.join(dataOf(), 'ledger/checkpoint'), 'utf8').split('\n');
  return Number(signed) >= size;
}

describe.skipIf(mayLackPsql())('the record', () => {
  it('has what is done at a gateway, to be found by who, what and how, and what the server says of itself', async () => {
    expect((await write('one')).code).toBe(0);
    await shippedWhole();
    const inserts = await listed(stack, ['record', 'search', '--action', 'postgres:insert', '--object', 'public.kept']);
    expect(inserts[0]).toMatchObject({ kind: 'intent', target: 'shop', action: 'postgres:insert' });
    const { actor, log, seq } = inserts[0] ?? {};
    expect(
      await listed(stack, ['record', 'search', '--who', `${actor}`, '--kind', 'intent', '--object', 'kept']),
    ).not.toEqual([]);
    expect(await listed(stack, ['record', 'show', `${log}/${seq}`])).toEqual([inserts[0]]);
    expect(await listed(stack, ['record', 'search', '--who', '/nobody'])).toEqual([]);
    expect(await listed(stack, ['record', 'search', '--kind', 'admin'])).not.toEqual([]);
    expect((await logOf('server'))?.state).toBe('shipped');
  });

  it('is asked as the guide shows', async () => {
    const guide = fs.readFileSync(path.join(import.meta.dirname, '../../docs/guide/record.md'), 'utf8');
    const blocks = Array.from(guide.matchAll(/```sh\n(.*?)```/gs), ([, text = '']) => text.trim().split('\n')).flat();
    expect(blocks).toHaveLength(15);
    const folder = stack.folder.data.server; // Where the user of the commands may write.
    const places = new Map([
      ...['./denials', 'proof.json'].map((name) => [name, path.join(folder, name)] as const),
      ['witness.vkey', path.join(folder, 'witness.vkey')] as const,
    ]);
    for (const line of blocks) {
      const words = Array.from(line.matchAll(/"([^"]*)"|\S+/g), ([word, quoted]) => quoted ?? word);
      const [program, ...args] = words.map((word) => places.get(word) ?? word);
      expect(program).toBe('countersign');
      const { code, stderr } = await stack.cli(args);
      expect({ line, code, stderr }).toEqual({ line, code: 0, stderr: '' });
    }
  });

  it('is whole after the gateway, and after the server, was killed in the middle', async () => {
    for (const role of [stack.roles.gateway, stack.roles.server]) {
      const writing = Array.from({ length: 4 }, (_, n) => write(`kill ${n}`));
      await role.end('SIGKILL');
      await Promise.all(writing);
      role.start();
      await Promise.all([stack.roles.server.ready(), stack.roles.gateway.ready()]);
    }
    await eventually('it is served again', async () => (await write('after')).code === 0, { withinMs: 30_000 });
    await shippedWhole();
  });

  it('has all of it later when the server was away', async () => {
    await stack.roles.server.end('SIGTERM');
    for (let n = 0; n < 5; n++) expect((await write(`away ${n}`)).code).toBe(0);
    stack.roles.server.start();
    await stack.roles.server.ready();
    await shippedWhole();
  });

  it('knows of a gateway that stopped in good order, and calls one silent that was killed', async () => {
    await stack.roles.gateway.end('SIGTERM');
    await eventually('it has ended', async () => (await logOf('gateway'))?.state === 'ended');
    stack.roles.gateway.start();
    await stack.roles.gateway.ready();
    await shippedWhole();
    await stack.roles.gateway.end('SIGKILL');
    await eventually('it is silent', async () => (await logOf('gateway'))?.state === 'silence', { withinMs: 30_000 });
    stack.roles.gateway.start();
    await stack.roles.gateway.ready();
    await eventually('it is heard again', async () => (await logOf('gateway'))?.state === 'shipped', {
      withinMs: 30_000,
    });
  });

  it('names an entry that was edited before it was shipped, and takes the ledger again when that is undone', async () => {
    const undo = await whileAway((seq) => {
      const { file, bytes, at } = segment();
      const { offset, end, unsynced } = at.get(seq) ?? { offset: 0, end: 0, unsynced: 0 };
      const edited = Buffer.from(bytes.subarray(offset, end));
      edited.write('"target":"shoq"', edited.indexOf('"target":"shop"'));
      writeFrameHeader(edited, 0, { length: end - offset - FRAME_HEADER_BYTES, unsynced });
      put(file, edited, offset);
      return () => put(file, bytes.subarray(offset, end), offset);
    });
    await isNamed('edited');
    expect(await listed(stack, ['record', 'search', '--target', 'shoq'])).toEqual([]);
    const told = async () => (await listed(stack, ['record', 'search', '--action', 'record:edited'])).length;
    await eventually('the server’s own ledger tells it', async () => (await told()) === 1);
    undo();
    await isNamed('shipped');
    await shippedWhole();
  });

  it('names a ledger that was cut off, though it was signed', async () => {
    const undo = await whileAway((seq) => {
      const { file, bytes, at } = segment();
      const { offset } = at.get(seq) ?? { offset: 0 };
      put(file, Buffer.alloc(4096), offset);
      return () => put(file, bytes.subarray(offset, offset + 4096), offset);
    });
    await isNamed('gap');
    undo();
    await isNamed('shipped');
    await shippedWhole();
  });

  it('names one that was put back to an earlier state with all that the gateway knows of it, and the fork that it becomes', async () => {
    const { gateway } = stack.roles;
    const kept = `${dataOf()}-kept`;
    await gateway.end('SIGTERM');
    fs.cpSync(dataOf(), kept, { recursive: true, preserveTimestamps: true });
    chownAll(kept, fs.statSync(dataOf()));
    gateway.start();
    await gateway.ready();
    for (let n = 0; n < 5; n++) await write(`lost ${n}`);
    await shippedWhole();
    const { entries } = (await logOf('gateway')) ?? { entries: 0 };
    await gateway.end('SIGTERM');
    fs.rmSync(dataOf(), { recursive: true });
    fs.renameSync(kept, dataOf());
    gateway.start();
    await gateway.ready();
    await isNamed('rollback');
    while (!isSigned(entries + 1)) await write('fork');
    await isNamed('fork');
    const alarms = async () => {
      const told = await listed(stack, ['record', 'search', '--kind', 'ledger', '-n', '1000']);
      return told.map(({ action }) => `${action}`).filter((action) => /rollback|fork/.test(action));
    };
    await eventually('the server’s own ledger tells both', async () => (await alarms()).length === 2);
    expect(await alarms()).toEqual(['record:fork', 'record:rollback']);
  });
});

/** As the one that it is a copy of. */
function chownAll(folder: string, { uid, gid }: fs.Stats): void {
  const names = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' });
  for (const one of [folder, ...names.map((name) => path.join(folder, name))]) {
    fs.chownSync(one, uid, gid);
    fs.chmodSync(one, fs.statSync(one).isDirectory() ? 0o700 : 0o600);
  }
}
