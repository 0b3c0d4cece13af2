/** What a transaction costs in the gateway's ledger, measured without the gateway. */
import { type ChildProcess, fork } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createDirectoryReader } from '../../src/ledger/index.ts';
import type { LedgerEvent } from '../../src/model/index.ts';
import { createSystemClock } from '../../src/std/index.ts';
import type { Bed } from './bed.ts';
import type { LedgerCostJob } from './ledger-cost.ts';

/** Intent and outcome of a statement that the gateway wrote lately: what a transaction puts into the ledger. */
export interface Operation {
  readonly intent: LedgerEvent;
  readonly outcome: LedgerEvent;
}

/** The newest operation of the gateway's ledger that has ended. */
export async function lastOperation(bed: Bed): Promise<Operation> {
  const directory = path.join(bed.stack.folder.data.gateway, 'ledger');
  const reader = createDirectoryReader({ clock: createSystemClock(), directory });
  const intents = new Map<string, LedgerEvent>();
  let found: Operation | undefined;
  const signal = new AbortController().signal;
  for await (const { seq: _, wallMs: __, v: ___, kind, ...event } of reader.tail({
    count: ENTRIES_LOOKED_AT,
    follow: false,
    signal,
  })) {
    const name = `${event.session} ${event.operation}`;
    if (kind === 'intent') intents.set(name, { ...event, kind });
    const intent = intents.get(name);
    if (kind === 'outcome' && intent !== undefined) found = { intent, outcome: { ...event, kind } };
  }
  if (found === undefined) throw new Error(`no statement among the last ${ENTRIES_LOOKED_AT} entries of ${directory}`);
  return found;
}

/** CPU for one transaction's entries at that rate, in microseconds, sync and tree included: at least that much (`ledger-cost.ts`). */
export async function ledgerCostUs(
  bed: Bed,
  options: { operation: Operation; transactionsPerSecond: number; together: number; windowMs: number },
): Promise<number> {
  const { operation, ...pace } = options;
  const directory = fs.mkdtempSync(path.join(bed.stack.folder.path, 'ledger-'));
  const job: LedgerCostJob = { directory: path.join(directory, 'log'), ...operation, ...pace };
  const child = fork(LEDGER_COST, [JSON.stringify(job)], { execArgv: [] });
  try {
    return await answerOf(child);
  } finally {
    child.kill('SIGKILL');
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

function answerOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('message', (us) => resolve(Number(us)));
    child.once('exit', (code) => reject(new Error(`ledger-cost.ts ended with ${code}`)));
  });
}

const LEDGER_COST = fileURLToPath(new URL('./ledger-cost.ts', import.meta.url));
/** Sessions write theirs one between the other; far more than 32 clients have at once. */
const ENTRIES_LOOKED_AT = 400;
