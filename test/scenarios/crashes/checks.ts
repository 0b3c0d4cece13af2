/** What must hold after every crash, by the database, the ledger and what the clients were told. */
import type { createContentDigester } from '../../../src/gateway/index.ts';
import type { LedgerEntry } from '../../../src/ledger/index.ts';
import type { Attempt, LoadRecord, Table } from './attempts.ts';

/** All that the gateway's ledger has said of the inserts, gathered as it grows. */
export interface Memory {
  /** The intent of each insert, by its id. */
  readonly intents: Map<string, LedgerEntry[]>;
  /** Outcomes by session and operation. */
  readonly outcomes: Map<string, LedgerEntry>;
  /** Every intent without outcome yet. */
  readonly open: Map<string, LedgerEntry>;
  /** Intents of inserts that belong to no attempt, which nobody can have asked for. */
  readonly strangers: LedgerEntry[];
  unknown: number;
}

export function createMemory(): Memory {
  return { intents: new Map(), outcomes: new Map(), open: new Map(), strangers: [], unknown: 0 };
}

/** Takes in new entries of the gateway's ledger, whose digests are made by that one; says what can't be right about them. */
export function remember(
  memory: Memory,
  entries: readonly LedgerEntry[],
  { record, digester }: { readonly record: LoadRecord; readonly digester: Digester },
): string[] {
  const wrong: string[] = [];
  const byDigest = new Map(
    [...record.attempts.values()].map((attempt) => [contentDigest(attempt, digester), attempt.id]),
  );
  for (const entry of entries) {
    const key = keyOf(entry);
    if (entry.kind === 'intent') {
      if (memory.open.has(key)) wrong.push(`operation ${key} was announced twice`);
      memory.open.set(key, entry);
      const id = idOf(entry, byDigest);
      if (id !== undefined && record.attempts.has(id))
        memory.intents.set(id, [...(memory.intents.get(id) ?? []), entry]);
      else if (WRITES.has(entry.action)) memory.strangers.push(entry);
    }
    if (entry.kind === 'outcome') {
      if (!memory.open.delete(key)) wrong.push(`operation ${key} has an outcome without intent, or two`);
      if (entry.detail['status'] === 'unknown') memory.unknown++;
      memory.outcomes.set(key, entry);
    }
  }
  return wrong;
}

/** The rules, for all attempts since the last check. `rows` are the ids in each table. */
export function check(
  record: LoadRecord,
  memory: Memory,
  rows: Readonly<{ [table in Table]: readonly string[] }>,
): string[] {
  const present = new Set(Object.values(rows).flat());
  return [
    ...record.wrong,
    ...withoutLive([...memory.open.values()]).map((entry) => `entry ${entry.seq} is an intent without outcome`),
    ...memory.strangers.map((entry) => `entry ${entry.seq} is an insert that no client sent`),
    ...checkRows(record, memory, rows),
    ...checkGroups(record, present),
    ...[...record.attempts.values()].flatMap((attempt) => checkAttempt(attempt, { record, memory, present })),
  ];
}

/** The one WebSocket of the load lives on while it stands still: the newest is no crash's. */
function withoutLive(open: readonly LedgerEntry[]): readonly LedgerEntry[] {
  const live = open.findLast(({ action }) => action === 'http:upgrade');
  return open.filter((entry) => entry !== live);
}

/** Nothing is in the database twice, unasked, or without its intent. */
function checkRows(
  record: LoadRecord,
  memory: Memory,
  rows: Readonly<{ [table in Table]: readonly string[] }>,
): string[] {
  const wrong: string[] = [];
  for (const [table, ids] of Object.entries(rows)) {
    if (new Set(ids).size !== ids.length) wrong.push(`${table} holds a row twice`);
    for (const id of ids) {
      if (record.attempts.get(id)?.table !== table) wrong.push(`${table} holds ${id}, which no client sent there`);
      if (!memory.intents.has(id)) wrong.push(`${id} reached the upstream without an intent`);
    }
  }
  return wrong;
}

/** What belongs together is there together. */
function checkGroups(record: LoadRecord, present: ReadonlySet<string>): string[] {
  const counts = new Map<string, { all: number; there: number }>();
  for (const { id, group } of record.attempts.values()) {
    const count = counts.get(group) ?? { all: 0, there: 0 };
    counts.set(group, { all: count.all + 1, there: count.there + (present.has(id) ? 1 : 0) });
  }
  return [...counts].flatMap(([group, { all, there }]) => {
    const verdict = record.verdicts.get(group);
    const whole = there === 0 || there === all;
    if (!whole) return [`${group} is there in part: ${there} of ${all}`];
    if (verdict === 'kept' && there === 0) return [`${group} was acknowledged and is not in the database`];
    if ((verdict === 'undone' || verdict === 'refused') && there > 0)
      return [`${group} was ${verdict} and is in the database`];
    return [];
  });
}

/** What the client was told, what the ledger says and what the database holds agree. */
function checkAttempt(
  { id, group, alone }: Attempt,
  { record, memory, present }: { record: LoadRecord; memory: Memory; present: ReadonlySet<string> },
): string[] {
  const intents = memory.intents.get(id) ?? [];
  const [intent] = intents;
  const acknowledged = record.verdicts.get(group) === 'kept';
  if (intent === undefined) return acknowledged ? [`${id} was acknowledged and is not in the ledger`] : [];
  const status = String(memory.outcomes.get(keyOf(intent))?.detail['status']);
  const wrong = intents.length > 1 ? [`${id} has ${intents.length} intents`] : [];
  if (acknowledged && status !== 'done') wrong.push(`${id} was acknowledged, its outcome says ${status}`);
  if (alone && status === 'done' && !present.has(id)) wrong.push(`${id} is done by the ledger and not in the database`);
  if ((status === 'failed' || status === 'skipped') && present.has(id))
    wrong.push(`${id} is ${status} by the ledger and in the database`);
  return wrong;
}

/** By the recorded text or parameter where policy records them, by the digest of text and parameter elsewhere. */
function idOf(entry: LedgerEntry, byDigest: ReadonlyMap<string, string>): string | undefined {
  const { postgres, contentDigest } = entry.detail;
  if (!WRITES.has(entry.action)) return undefined;
  const id = /'([^']+)'/.exec(JSON.stringify(postgres) ?? '')?.[1];
  return id ?? byDigest.get(String(contentDigest));
}

type Digester = Pick<ReturnType<typeof createContentDigester>, 'digest'>;

function contentDigest({ id, table }: Attempt, digester: Digester): string {
  if (table === 'posts') return digester.digest({ text: `POST ${POSTS_PATH}${id}`, values: [], formats: [] });
  return digester.digest({ text: 'insert into digested values ($1)', values: [Buffer.from(id)], formats: [0] });
}

function keyOf(entry: LedgerEntry): string {
  return `${entry.session} ${entry.operation}`;
}

/** Where the API takes what is posted; the id follows. */
export const POSTS_PATH = '/v1/posts/';
const WRITES: ReadonlySet<string | undefined> = new Set(['postgres:insert', 'http:post']);
