/** An operator at work while roles die: creates and deletes an entry in turn, over the server's own socket. */
import { setTimeout as pause } from 'node:timers/promises';
import { Entry } from '@countersign/sdk/contract';
import type { LedgerEntry } from '../../../src/ledger/index.ts';
import { Code, createRpcClient, RpcError } from '../../../src/rpc/index.ts';
import { createSilentLog, createSystemClock } from '../../../src/std/index.ts';
import type { Stack } from '../../support/stack.ts';
import type { LoadRecord } from './attempts.ts';
import type { Client } from './clients.ts';

/** What the operator knows of one entry. */
interface Act {
  readonly created: 'open' | 'done';
  readonly deleted: 'no' | 'open' | 'done';
}

export interface Operator extends Client {
  /** What is wrong with the store and the server's ledger, by what the operator was told. */
  check(serverEntries: readonly LedgerEntry[]): Promise<string[]>;
  close(): Promise<void>;
}

export function createOperator(stack: Stack, record: LoadRecord): Operator {
  const client = createRpcClient({
    ...{ clock: createSystemClock(), log: createSilentLog(), connect: { unix: stack.folder.operatorSocket } },
  });
  const acts = new Map<string, Act>();
  let count = 0;
  let steps = 0;
  const options = () => ({ signal: new AbortController().signal, timeoutMs: PATIENCE_MS });

  const step = async () => {
    const id = `crash-${++count}`;
    acts.set(id, { created: 'open', deleted: 'no' });
    const made = await client.unary(Entry.method.batchCreateEntry, { entries: [entry(id)] }, options());
    expectOk(record, `create ${id}`, made.results[0]?.status?.code);
    acts.set(id, { created: 'done', deleted: 'no' });
    if (count % 2 === 0) return;
    acts.set(id, { created: 'done', deleted: 'open' });
    const gone = await client.unary(Entry.method.batchDeleteEntry, { ids: [id] }, options());
    expectOk(record, `delete ${id}`, gone.results[0]?.status?.code);
    acts.set(id, { created: 'done', deleted: 'done' });
  };

  return {
    name: 'operator',
    get steps() {
      return steps;
    },
    async run(control) {
      while (!control.stop.aborted) {
        await control.pass('operator');
        try {
          if (!control.stop.aborted) await step().then(() => steps++);
        } catch (error) {
          if (!isAway(error)) record.wrong.push(`operator: ${error instanceof Error ? error.message : String(error)}`);
        }
        await pause(BETWEEN_MS); // An operator is no benchmark: each act is an update for every agent.
      }
    },
    async check(serverEntries) {
      const there = await allEntries(client, options);
      const requested = new Set(serverEntries.flatMap(idsOfRequest));
      const wrong: string[] = [];
      for (const [id, { created, deleted }] of acts) {
        if (created === 'done' && deleted === 'no' && !there.has(id))
          wrong.push(`entry ${id} was acknowledged and is gone`);
        if (deleted === 'done' && there.has(id)) wrong.push(`entry ${id} was deleted and is back`);
        if ((created === 'done' || there.has(id)) && !requested.has(id))
          wrong.push(`entry ${id} was created without a word in the server's ledger`);
      }
      return wrong;
    },
    close: () => client.close(),
  };
}

function entry(id: string) {
  return {
    id,
    spiffeId: { trustDomain: 'example.org', path: `/${id}` },
    parentId: { trustDomain: 'example.org', path: '/countersign/nodes' },
    selectors: [{ type: 'unix', value: 'uid:59999' }],
  };
}

async function allEntries(
  client: ReturnType<typeof createRpcClient>,
  options: () => { signal: AbortSignal; timeoutMs: number },
): Promise<Set<string>> {
  const ids = new Set<string>();
  for (let pageToken = ''; ; ) {
    const page = await client.unary(Entry.method.listEntries, { pageSize: 500, pageToken }, options());
    for (const { id } of page.entries) ids.add(id);
    pageToken = page.nextPageToken;
    if (pageToken === '') return ids;
  }
}

/** The entries that an `admin` event says are about to be created. */
function idsOfRequest({ kind, action, detail }: LedgerEntry): string[] {
  if (kind !== 'admin' || action !== 'BatchCreateEntry' || detail['step'] !== 'request') return [];
  return JSON.stringify(detail).match(/crash-\d+/g) ?? [];
}

function expectOk(record: LoadRecord, what: string, code: number | undefined): void {
  if (code !== Code.OK) record.wrong.push(`operator: ${what} answered status ${code}`);
}

/** The server, or its store, is not there: the call may be made again. */
function isAway(error: unknown): boolean {
  return error instanceof RpcError && (error.code === Code.UNAVAILABLE || error.code === Code.DEADLINE_EXCEEDED);
}

const BETWEEN_MS = 100;
const PATIENCE_MS = 60_000;
