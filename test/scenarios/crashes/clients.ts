/** The clients of the load: each does its step again and again, on a connection that it opens anew whenever it lost it. */
import { setTimeout as pause } from 'node:timers/promises';
import type pg from 'pg';
import { bind, execute, openRawSession, parse, type RawSession, sync } from '../../support/raw-session.ts';
import type { Way } from '../../support/ways.ts';
import type { Attempt, LoadRecord, Table, Verdict } from './attempts.ts';

export interface Client {
  readonly name: string;
  /** Steps done since the start. */
  readonly steps: number;
  /** Goes on until `stop`; while `halted`, it stands still between two steps. */
  run(control: Control): Promise<void>;
}

/** How the test holds the clients. */
export interface Control {
  readonly stop: AbortSignal;
  /** Resolves when the clients may go on; `arrived` hears of each that waits. */
  pass(client: string): Promise<void>;
}

/** What a step works with. */
export interface Step<Session> {
  readonly session: Session;
  readonly book: Book;
}

/** Writes into the record for one client. */
export class Book {
  readonly #record: LoadRecord;
  readonly #client: string;
  #count = 0;

  constructor(record: LoadRecord, client: string) {
    this.#record = record;
    this.#client = client;
  }

  /** A new group of inserts that is about to be sent. */
  group(table: Table, count: number): { ids: string[]; settle: (verdict: Verdict) => void } {
    const group = `${this.#client}-${++this.#count}`;
    const alone = count === 1;
    const ids = Array.from({ length: count }, (_, index) => `${group}-${index}`);
    for (const id of ids) {
      const attempt: Attempt = { id, table, group, alone, client: this.#client };
      this.#record.attempts.set(id, attempt);
    }
    this.#record.verdicts.set(group, 'open');
    return {
      ids,
      settle: (verdict) => {
        this.#record.verdicts.set(group, verdict);
        if (verdict === 'kept') this.#record.acknowledged += count;
      },
    };
  }

  expect(what: string, seen: unknown, wanted: unknown): void {
    if (JSON.stringify(seen) === JSON.stringify(wanted)) return;
    this.#record.wrong.push(`${this.#client}: ${what} was ${JSON.stringify(seen)}, not ${JSON.stringify(wanted)}`);
  }
}

/** All clients, over both ways to the target. */
export function createClients(record: LoadRecord, ways: { agent: Way; direct: Way }): Client[] {
  const withDriver = (name: string, way: Way, step: (step: Step<pg.Client>) => Promise<void>) =>
    createClient<pg.Client>(record, {
      name,
      step,
      open: () => way.connect({ connectionTimeoutMillis: PATIENCE_MS }),
      close: (session) => void session.end().catch(() => {}), // Nobody waits for a goodbye to a dead peer.
    });
  const raw = (name: string, way: Way, step: (step: Step<RawSession>) => Promise<void>) =>
    createClient<RawSession>(record, {
      name,
      step,
      open: () => openRawSession(way.door, { database: 'shop' }),
      close: (session) => session.close(),
    });
  return [
    withDriver('simple', ways.agent, insertSimple),
    withDriver('prepared', ways.agent, insertPrepared),
    withDriver('transaction', ways.agent, insertTransaction),
    withDriver('masked', ways.agent, readMasked),
    raw('pipeline', ways.agent, insertPipelined),
    withDriver('direct-prepared', ways.direct, insertPrepared),
    withDriver('direct-transaction', ways.direct, insertTransaction),
    raw('direct-pipeline', ways.direct, insertPipelined),
  ];
}

/** Texts with literals; then reads back what it wrote. */
async function insertSimple({ session, book }: Step<pg.Client>): Promise<void> {
  const { ids, settle } = book.group('marks', 1);
  await told(session.query(`insert into marks values ('${ids[0]}')`), settle);
  const { rows } = await session.query(`select id from marks where id = '${ids[0]}'`);
  book.expect('the row just written', rows, [{ id: ids[0] }]);
}

async function insertPrepared({ session, book }: Step<pg.Client>): Promise<void> {
  const { ids, settle } = book.group('digested', 1);
  await told(session.query({ name: 'insert', text: 'insert into digested values ($1)', values: ids }), settle);
}

/** A transaction of three inserts, every fourth rolled back. */
async function insertTransaction({ session, book }: Step<pg.Client>): Promise<void> {
  const { ids, settle } = book.group('digested', 3);
  const last = Number(ids[0]?.split('-').at(-2)) % 4 === 0 ? 'rollback' : 'commit';
  await session.query('begin');
  for (const id of ids) await session.query('insert into digested values ($1)', [id]);
  // Until the last word nothing is kept; then only its answer tells.
  const { rows } = await session.query('select count(*)::int as n from digested where id = any($1)', [ids]);
  book.expect('the rows of the open transaction', rows, [{ n: 3 }]);
  const { command } = await session.query(last);
  book.expect('the end of the transaction', command, last.toUpperCase());
  settle(last === 'commit' ? 'kept' : 'undone');
}

/** A masked column, and a statement that policy refuses: the right answers are the mask and 42501, crash or not. */
async function readMasked({ session, book }: Step<pg.Client>): Promise<void> {
  const { rows } = await session.query('select name, ssn from people order by name');
  const masked = (rows as { name: string; ssn: string }[]).every(({ ssn }) => ssn !== CANARY); // As the columns are declared.
  book.expect('the masked rows', { masked, count: rows.length }, { masked: true, count: 2 });
  const denied = await session.query('delete from people').then(
    () => 'done',
    (error: pg.DatabaseError) => {
      if (error.severity === 'ERROR' && error.code === '42501') return error.code;
      throw error;
    },
  );
  book.expect('the refused delete', denied, '42501');
}

/** Eight inserts and one Sync in one write: one transaction. */
async function insertPipelined({ session, book }: Step<RawSession>): Promise<void> {
  const { ids, settle } = book.group('digested', PIPELINED);
  session.send(parse('insert into digested values ($1)'), ...ids.flatMap((id) => [bind([id]), execute()]), sync());
  const answers = await session.ready();
  const whole = ['1', ...ids.flatMap(() => ['2', 'C:INSERT 0 1']), 'Z:I'];
  if (answers.at(-1)?.startsWith('Z')) {
    const failed = answers.find((answer) => answer.startsWith('E:'));
    if (failed === undefined) book.expect('the answers to a pipeline', answers, whole);
    settle(failed === undefined ? 'kept' : 'refused');
    if (failed !== undefined) throw rawError(failed);
    return;
  }
  const last = answers.at(-1);
  const complete = last?.startsWith('E:') ? answers.slice(0, -1) : answers;
  book.expect('the answers before the end', complete, whole.slice(0, complete.length));
  throw last?.startsWith('E:') ? rawError(last) : new Error('the connection was lost');
}

/** Settles an insert by its answer: an ERROR says that it was not carried out, the loss of the connection says nothing. */
async function told(answer: Promise<pg.QueryResult>, settle: (verdict: Verdict) => void): Promise<void> {
  try {
    await answer;
    settle('kept');
  } catch (error) {
    if (error instanceof Error && 'severity' in error && error.severity === 'ERROR') settle('refused');
    throw error;
  }
}

function rawError(message: string): Error {
  const [, code = '', text = ''] = /^E:([^:]*):(.*)$/.exec(message) ?? [];
  return Object.assign(new Error(text), { code });
}

/** One that goes on with its step, and opens anew what it lost. */
export function createClient<Session>(
  record: LoadRecord,
  kind: {
    name: string;
    open: () => Promise<Session>;
    close: (session: Session) => void;
    step: (step: Step<Session>) => Promise<void>;
  },
): Client {
  const { name } = kind;
  const book = new Book(record, name);
  let steps = 0;
  let session: Session | undefined;

  const turn = async (): Promise<void> => {
    const during = session === undefined ? 'connect' : 'work';
    try {
      if (session === undefined) session = await bounded(kind.open(), record);
      else await bounded(kind.step({ session, book }), record).then(() => steps++);
    } catch (error) {
      if (error instanceof Hung) record.wrong.push(`${name}: ${during} hangs`);
      else record.failures.push({ client: name, during, ...facts(error) });
      if (session !== undefined) kind.close(session);
      session = undefined;
      await pause(RETRY_MS);
    }
  };
  return {
    name,
    get steps() {
      return steps;
    },
    async run(control) {
      while (!control.stop.aborted) {
        await control.pass(name);
        if (!control.stop.aborted) await turn();
        await pause(BETWEEN_MS);
      }
      if (session !== undefined) kind.close(session);
    },
  };
}

class Hung extends Error {}

/** Fails when nothing is heard for so long that a client would give up. */
async function bounded<T>(work: Promise<T>, record: LoadRecord): Promise<T> {
  const startedMs = performance.now();
  const timer = new AbortController();
  const limit = pause(PATIENCE_MS, undefined, { signal: timer.signal }).then(() => {
    throw new Hung();
  });
  limit.catch(() => {}); // Cancelled when the work was in time.
  try {
    return await Promise.race([work, limit]);
  } finally {
    timer.abort();
    record.slowestMs = Math.max(record.slowestMs, performance.now() - startedMs);
  }
}

function facts(error: unknown): { code: string; message: string } {
  if (!(error instanceof Error)) return { code: '', message: String(error) };
  const refused = /^refused: E:([0-9A-Z]{5}):(.*)$/s.exec(error.message);
  if (refused) return { code: refused[1] ?? '', message: refused[2] ?? '' };
  if (error.message === 'refused: ') return { code: '', message: 'the connection was lost' };
  return { code: 'code' in error ? String(error.code ?? '') : '', message: error.message };
}

/** What the masked column holds. */
export const CANARY = 'canary-of-people';
const PIPELINED = 8;
/** Half a minute without a word is a hung connection, however busy the machine. */
const PATIENCE_MS = 60_000;
/** Of a client that is polite: eight that hammer would themselves be what keeps a small machine from coming back. */
const RETRY_MS = 75;
/** Leaves the machine to the others now and then; without it a run of many rounds is mostly reading back what was written. */
const BETWEEN_MS = 20;
