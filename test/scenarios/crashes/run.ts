/**
 * kill -9 of server, agent, gateway and PostgreSQL in turn under load, round after round: kills, waits until everything is back by itself,
 * lets the clients stand still, and compares what they were told with the database and the ledgers.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { DIGEST_KEY_FILE, parseDigestKey } from '../../../src/app/digest-key.ts';
import { createContentDigester } from '../../../src/gateway/index.ts';
import { createDirectoryReader, type LedgerEntry, verifyLedger } from '../../../src/ledger/index.ts';
import { createSystemClock } from '../../../src/std/index.ts';
import { parseVerifierKey } from '../../../src/wire/tlog/index.ts';
import { eventually } from '../../support/eventually.ts';
import { ALLOW_ALL, type Stack, startStack } from '../../support/stack.ts';
import type { RoleName } from '../../support/stack-folder.ts';
import { agentWay, directWay, startSvidFiles, svidFiles, type Way } from '../../support/ways.ts';
import { API_POLICIES, type CrashApi, startCrashApi } from './api.ts';
import { createLoadRecord, isRetryable, type LoadRecord } from './attempts.ts';
import { check, createMemory, remember } from './checks.ts';
import { CANARY, type Client, type Control, createClients } from './clients.ts';
import { createHttpClients } from './http-clients.ts';
import { createOperator, type Operator } from './operator.ts';
import { planRound, type Round } from './plan.ts';
import { createSupervisor, type Supervisor } from './supervisor.ts';

/** What one round showed. */
export interface RoundReport {
  readonly round: Round;
  /** Nothing, when all held. */
  readonly wrong: readonly string[];
  /** Milliseconds from the kill until every client had work done again. */
  readonly backMs: number;
  readonly acknowledged: number;
  /** Outcomes `unknown` in this round. */
  readonly unknown: number;
  /** How often each code was met by a client. */
  readonly codes: Readonly<{ [code: string]: number }>;
  readonly gaveUp: readonly string[];
  readonly slowestMs: number;
}

/** One stack under load. */
export interface CrashRun extends AsyncDisposable {
  round(number: number): Promise<RoundReport>;
  /** The logs of all roles. */
  logs(): string;
}

/** Starts the stack and the load. */
export async function startCrashRun(seed: string): Promise<CrashRun> {
  const stack = await startStack({ seed: SEED, policies: POLICIES });
  const files = await startSvidFiles(stack).catch(async (error: unknown) => {
    await stack.stop();
    throw error;
  });
  const record = createLoadRecord();
  const direct: Way = {
    // The files are read for each connection: an SVID lives shorter than a long run.
    ...directWay(stack, files.folder, 'postgres'),
    get door() {
      return directWay(stack, files.folder, 'postgres').door;
    },
    connect: (more) => directWay(stack, files.folder, 'postgres').connect(more),
  };
  const operator = createOperator(stack, record);
  const api = await startCrashApi(stack, () => svidFiles(files.folder));
  const clients: Client[] = [
    ...createClients(record, { agent: agentWay(stack), direct }),
    ...createHttpClients(record, api.ways),
    operator,
  ];
  const gate = createGate(clients.length);
  const running = Promise.all(clients.map((client) => client.run(gate.control)));
  const supervisor = createSupervisor(stack);
  const rounds = createRounds({ ...{ stack, api, record, operator, clients }, gate, supervisor });
  return {
    round: (number) => rounds(planRound(seed, number)),
    logs: () => ['server', 'agent', 'gateway'].map((role) => logOf(stack, role)).join('\n'),
    async [Symbol.asyncDispose]() {
      gate.stop();
      await running;
      api.close();
      await operator.close();
      await supervisor.stop();
      await files.daemon.end('SIGKILL');
      await stack.stop();
    },
  };
}

interface Parts {
  readonly stack: Stack;
  readonly api: CrashApi;
  readonly record: LoadRecord;
  readonly operator: Operator;
  readonly clients: readonly Client[];
  readonly gate: Gate;
  readonly supervisor: Supervisor;
}

function createRounds(parts: Parts): (round: Round) => Promise<RoundReport> {
  const { stack, api, record, operator, clients, gate, supervisor } = parts;
  const memory = createMemory();
  const ledgers = { gateway: createFollower(stack, 'gateway'), server: createFollower(stack, 'server') };
  const ofServer: LedgerEntry[] = [];
  const digester = digesterOf(stack);

  const look = async (): Promise<string[]> => {
    const announced = remember(memory, await ledgers.gateway.more(), { record, digester });
    ofServer.push(...(await ledgers.server.more()));
    const rows = {
      ...{ marks: await idsIn(stack, 'marks'), digested: await idsIn(stack, 'digested') },
      posts: [...api.posts],
    };
    const people = await stack.dba('select count(*)::int as n from people');
    return [
      ...announced,
      ...check(record, memory, rows),
      ...(await operator.check(ofServer)),
      ...api.forbidden.map((request) => `${request} reached the API`),
      ...(people[0]?.['n'] === 2 ? [] : ['a refused delete was carried out']),
      ...(await ledgers.gateway.verify()),
      ...(await ledgers.server.verify()),
    ];
  };

  return async (round) => {
    const before = { acknowledged: record.acknowledged, unknown: memory.unknown, gaveUp: supervisor.gaveUp.length };
    record.failures.length = 0;
    record.wrong.length = 0;
    record.slowestMs = 0;
    gate.go();
    const wrong: string[] = [];
    let killedMs = performance.now();
    try {
      const goal = before.acknowledged + round.afterOperations;
      await eventually('the load runs', () => record.acknowledged >= goal, { everyMs: 1, withinMs: BACK_MS });
      if (round.delayMs > 0) await pause(round.delayMs);
      killedMs = performance.now();
      await strike(parts, round);
      await supervisor.ready();
      await allAtWork(clients);
    } catch (error) {
      wrong.push(error instanceof Error ? error.message : String(error));
    }
    const backMs = performance.now() - killedMs;
    await gate.halt();
    if (wrong.length === 0) wrong.push(...(await look()));
    for (const failure of record.failures) {
      if (!isRetryable(failure))
        wrong.push(`${failure.client} met ${failure.code || 'an error'} (${failure.during}): ${failure.message}`);
    }
    return {
      ...{ round, wrong, backMs, slowestMs: record.slowestMs },
      acknowledged: record.acknowledged - before.acknowledged,
      unknown: memory.unknown - before.unknown,
      codes: countBy(record.failures.map(({ code, message }) => code || message)),
      gaveUp: supervisor.gaveUp.slice(before.gaveUp),
    };
  };
}

/** All victims at once, and again while they start. */
async function strike({ stack, supervisor }: Parts, round: Round): Promise<void> {
  await Promise.all(round.victims.map((victim) => supervisor.kill(victim)));
  const [victim] = round.victims;
  for (const ms of round.duringStartMs) {
    if (victim === undefined) return;
    const running = () => (victim === 'postgres' ? stack.postgres.pid : stack.roles[victim].pid) !== 0;
    await eventually(`${victim} is started again`, running, { everyMs: 5 });
    await pause(ms);
    await supervisor.kill(victim);
  }
  // `ready` must not take the dead process for the new one.
  for (const role of round.victims) {
    if (role !== 'postgres') await eventually(`${role} is started again`, () => stack.roles[role].pid !== 0);
  }
}

/** Every client has done something whole since. */
async function allAtWork(clients: readonly Client[]): Promise<void> {
  const goals = clients.map((client) => ({ client, steps: client.steps + STEPS }));
  const idle = () => goals.filter(({ client, steps }) => client.steps < steps).map(({ client }) => client.name);
  await eventually('all clients at work', () => idle().length === 0, { everyMs: 5, withinMs: BACK_MS }).catch(() => {
    throw new Error(`${BACK_MS} ms after everything was ready, not at work again: ${idle().join(', ')}`);
  });
}

interface Gate {
  readonly control: Control;
  /** Resolves when every client stands still. */
  halt(): Promise<void>;
  go(): void;
  stop(): void;
}

/** Halts all clients between two steps, and lets them go on. */
function createGate(count: number): Gate {
  const stopping = new AbortController();
  let waiting: (() => void)[] = [];
  let closed = true;
  let allArrived = () => {};
  const go = () => {
    closed = false;
    const released = waiting;
    waiting = [];
    for (const release of released) release();
  };
  return {
    control: {
      stop: stopping.signal,
      pass: () =>
        closed && !stopping.signal.aborted
          ? new Promise((resolve) => {
              waiting.push(resolve);
              if (waiting.length === count) allArrived();
            })
          : Promise.resolve(),
    },
    halt() {
      closed = true;
      return new Promise((resolve) => {
        allArrived = resolve;
        if (waiting.length === count) resolve();
      });
    },
    go,
    stop() {
      stopping.abort();
      go();
    },
  };
}

interface Follower {
  /** Entries that came since the last call. */
  more(): Promise<LedgerEntry[]>;
  /** Verifies the whole folder beside the role that writes it, from the last checkpoint seen here on. */
  verify(): Promise<string[]>;
}

/** Made with the gateway's own key: kills must not change that. */
function digesterOf(stack: Stack) {
  const file = path.join(stack.folder.data.gateway, DIGEST_KEY_FILE);
  return createContentDigester(parseDigestKey(file, fs.readFileSync(file, 'utf8')));
}

function createFollower(stack: Stack, role: Exclude<RoleName, 'agent'>): Follower {
  const directory = path.join(stack.folder.data[role], 'ledger');
  const signal = new AbortController().signal;
  const reader = createDirectoryReader({ clock: createSystemClock(), directory });
  let next = 0;
  const checkpoints: string[] = [];
  return {
    async more() {
      const [last] = await all(reader.tail({ count: 1, follow: false, signal }));
      const count = (last?.seq ?? -1) + 1 - next;
      const entries = await all(reader.tail({ count, follow: false, signal }));
      next += entries.length;
      return entries;
    },
    async verify() {
      const key = parseVerifierKey(fs.readFileSync(path.join(path.dirname(directory), 'ledger.vkey'), 'utf8').trim());
      const report = await verifyLedger(directory, key, { signal, knownCheckpoints: checkpoints.slice(-1) });
      const newest = await reader.checkpoint();
      if (newest !== undefined) checkpoints.push(newest);
      return report.ok ? [] : report.findings.map(({ kind, message }) => `the ${role}'s ledger: ${kind}: ${message}`);
    },
  };
}

async function all(entries: AsyncIterable<LedgerEntry>): Promise<LedgerEntry[]> {
  const list: LedgerEntry[] = [];
  for await (const entry of entries) list.push(entry);
  return list;
}

async function idsIn(stack: Stack, table: string): Promise<string[]> {
  return (await stack.dba(`select id from ${table}`)).map(({ id }) => String(id));
}

function logOf(stack: Stack, role: string): string {
  return `--- ${role}\n${fs.readFileSync(path.join(stack.folder.path, 'logs', `${role}.log`), 'utf8')}`;
}

function countBy(names: readonly string[]): { [name: string]: number } {
  const counts: { [name: string]: number } = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** How often each client must have got through after everything is ready. */
const STEPS = 2;
/** Far beyond what it takes; a machine that does other things too must not make a failure of it. */
const BACK_MS = 60_000;
const SEED = `
  create table marks (id text); create index on marks (id);
  create table digested (id text); create index on digested (id);
  create table people (name text, ssn text);
  insert into people values ('ada', '${CANARY}'), ('bob', '${CANARY}');
  grant all on all tables in schema public to shop_app;
`;
/** Texts that touch `marks` are recorded in full; elsewhere parameters have only their digest in the ledger. */
const POLICIES = {
  'web-all': ALLOW_ALL.replace(/;$/, ' unless { resource == Postgres::Table::"shop/shop/public/marks" };'),
  api: API_POLICIES,
  rules: `
    @id("web-recorded")
    @record("full")
    permit(principal == Identity::"spiffe://example.org/web", action in Action::"postgres:any", resource == Postgres::Table::"shop/shop/public/marks");
    @id("web-masked")
    @mask("ssn:redact")
    permit(principal == Identity::"spiffe://example.org/web", action == Action::"postgres:select", resource == Postgres::Table::"shop/shop/public/people");
    @id("no-delete")
    forbid(principal, action == Action::"postgres:delete", resource in Target::"shop");
  `,
};
