import { generateKeyPairSync, sign } from 'node:crypto';
import { formatEntry } from '../../src/ledger/entry.ts';
import type { LedgerEvent } from '../../src/model/index.ts';
import type { LogBatch } from '../../src/records/index.ts';
import {
  createTree,
  formatCheckpoint,
  formatNote,
  formatVerifierKey,
  leafHash,
  noteKeyOf,
} from '../../src/wire/tlog/index.ts';

/** A log that is made as it is shipped. */
export interface ShippedLog {
  readonly origin: string;
  readonly verifierKey: string;
  /** The next so many entries, with a checkpoint over all there are then. */
  next(count: number): LogBatch;
}

/** Creates the log of one gateway; every other entry is the outcome of the one before. */
export function createShippedLog(number: number): ShippedLog {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const origin = `countersign.example/gateway/bench-${number}`;
  const key = noteKeyOf(origin, publicKey);
  const tree = createTree();
  return {
    origin,
    verifierKey: formatVerifierKey(key),
    next(count) {
      const first = tree.size;
      const entries = Array.from({ length: count }, (_, n) => {
        const seq = first + n;
        const event = eventOf(number, seq);
        return Buffer.from(formatEntry(event, { seq, timeMs: event.timeMs }));
      });
      for (const entry of entries) tree.append(leafHash(entry));
      const text = formatCheckpoint({ origin, size: tree.size, root: tree.root() });
      return {
        ...{ first, entries, consistency: [] },
        checkpoint: formatNote(text, key, sign(null, Buffer.from(text), privateKey)),
      };
    },
  };
}

/** Four logs together go through ten days. Of what is rare there is one in some thousands. */
function eventOf(log: number, seq: number): LedgerEvent {
  const call = seq >> 1;
  const pick = (count: number, salt: number) => Math.imul(call + salt * 7919 + log * 104_729, 2_654_435_761) % count;
  const at = (count: number, salt: number) => Math.abs(pick(count, salt));
  const table = `${TABLES[at(TABLES.length, 1)]}`;
  const columns = [`column_${at(12, 2)}`, `column_${12 + at(12, 3)}`];
  const common = {
    timeMs: START_MS + Math.floor(call * 0.4),
    actor: `spiffe://countersign.example/ns/shop/sa/service-${at(200, 4)}`,
    target: `database-${at(20, 5)}`,
    session: `a7f3b0c1d2e4${log}${Math.floor(call / 50)}`,
    operation: `${seq & ~1}`,
  };
  if (seq % 2 === 1)
    return {
      ...{ ...common, kind: 'outcome', action: 'postgres:select' },
      detail: {
        bytesIn: 41,
        bytesOut: 100 + at(9000, 6),
        durationUs: 900 + at(500, 7),
        items: at(50, 8),
        status: 'done',
      },
    };
  const denied = at(400, 9) === 0;
  const question = {
    action: 'postgres:select',
    context: { columns },
    ...(at(30, 10) === 0 ? { masks: [{ kind: 'null', path: ['public', table, 'ssn'] }] } : {}),
    resource: { id: `${common.target}/shop/public/${table}`, type: 'Table' },
  };
  return {
    ...{ ...common, kind: denied ? 'denial' : 'intent', action: 'postgres:select' },
    detail: {
      ...{ contentDigest: `kEyOfThis:${'d'.repeat(43)}`, policies: [`policy-${at(40, 11)}`] },
      ...(denied ? { reason: at(2, 12) === 0 ? 'policy-denied' : 'not-understood', code: '42501' } : {}),
      ...{ questions: [question], shape: `shape-${at(2000, 13)}` },
    },
  };
}

const TABLES = ['customers', 'orders', 'lines', 'invoices', 'payments', 'carts', 'stock', 'parcels'];
const START_MS = 1_790_000_000_000;
