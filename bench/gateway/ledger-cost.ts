/**
 * What the gateway's ledger costs per transaction, alone in a process: the same two entries, at the rate at which the gateway wrote them,
 * with sync and tree beside it. The gateway writes together what its sessions record in one turn of the event loop; here that is always
 * all of them, so the figure is a lower bound. Started by `fork`; a {@link LedgerCostJob} is its first argument.
 *
 * It sends the CPU per transaction in microseconds, all threads, and ends.
 */
import { generateKeyPairSync } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { createLedger, createSigner } from '../../src/ledger/index.ts';
import type { LedgerEvent } from '../../src/model/index.ts';
import { createSilentLog, createSystemClock } from '../../src/std/index.ts';

export interface LedgerCostJob {
  /** An empty folder on the gateway's disk. */
  readonly directory: string;
  readonly intent: LedgerEvent;
  readonly outcome: LedgerEvent;
  readonly transactionsPerSecond: number;
  /** Transactions whose entries are written with one write. */
  readonly together: number;
  readonly windowMs: number;
}

/** Long enough that waking up costs nothing beside what is appended then. */
const TICK_MS = 5;
const WARM_MS = 4000;
const job = JSON.parse(process.argv[2] ?? '') as LedgerCostJob; // Written by ledger-client.ts.
const clock = createSystemClock();
const origin = 'countersign.example/bench';
const ledger = createLedger({
  ...{ clock, origin, log: createSilentLog(), directory: job.directory },
  signer: createSigner(origin, generateKeyPairSync('ed25519').privateKey),
});
await ledger.start(new AbortController().signal);
// Until the compiler has seen it.
await appendFor(WARM_MS);
let count = 0;
const busy = await cpuOf(async () => {
  count = await appendFor(job.windowMs);
});
process.send?.(busy / count);
await ledger.stop();
process.disconnect();

/** Appends transactions at the wanted rate; resolves to how many. */
async function appendFor(ms: number): Promise<number> {
  let operation = 0;
  await tickFor(ms, (elapsedMs) => {
    while (operation < (elapsedMs / 1000) * job.transactionsPerSecond) {
      const timeMs = clock.now();
      const names = Array.from({ length: job.together }, (_, i) => String(operation + i));
      ledger.appendAll(names.map((name) => ({ ...job.intent, timeMs, operation: name })));
      ledger.appendAll(names.map((name) => ({ ...job.outcome, timeMs, operation: name })));
      operation += job.together;
    }
  });
  return operation;
}

async function tickFor(ms: number, act: (elapsedMs: number) => void): Promise<void> {
  const began = performance.now();
  while (performance.now() - began < ms) {
    act(performance.now() - began);
    await pause(TICK_MS);
  }
}

async function cpuOf(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const used = process.cpuUsage(before);
  return used.user + used.system;
}
