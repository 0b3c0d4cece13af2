import type { AlarmKind, LogView, Records } from '../../records/index.ts';
import { Code, RpcError } from '../../rpc/index.ts';
import { codeOf, formatDurationMs, messageOf } from '../../std/index.ts';
import type { LedgerShipping } from '../shipping/ship-ledger.ts';
import type { Found, HealthCheck } from './conditions.ts';
import type { Metric } from './metrics.ts';

/** What is wrong with ledgers that come into the record. */
export function createRecordCheck(records: Pick<Records, 'logs' | 'silentMs'>): HealthCheck {
  return () => (records.logs() ?? []).filter(({ closed }) => !closed).flatMap((log) => findingsOf(records, log));
}

/** Whether the ledger of this role gets there. */
export function createShippingCheck(shipping: Pick<LedgerShipping, 'lag'>): HealthCheck {
  return () => {
    const { entries, forMs, problem } = shipping.lag();
    const why = problem === undefined ? '' : `: ${messageOf(problem.error)}`;
    if (problem !== undefined && isRefusal(problem.error))
      return [{ severity: 'degraded', key: 'refused', found: `the record does not take this ledger${why}` }];
    if (entries === 0 || forMs < LAG_MS_MAX) return [];
    return [{ severity: 'degraded', key: 'lag', found: `${entries} entries are not shipped to the record yet${why}` }];
  };
}

/** What the record holds, and what is wrong with it. */
export function recordMetrics(records: Pick<Records, 'logs' | 'silentMs'>): readonly Metric[] {
  const open = () => (records.logs() ?? []).filter(({ closed }) => !closed);
  return [
    {
      name: 'countersign_record_entries',
      help: 'Entries of all ledgers in the record.',
      read: () => (records.logs() ?? []).reduce((sum, { entries }) => sum + entries, 0),
    },
    { name: 'countersign_record_ledgers', help: 'Ledgers that are shipped.', read: () => open().length },
    {
      name: 'countersign_record_alarms',
      help: 'Ledgers with which that is wrong.',
      label: 'alarm',
      read() {
        const counts = new Map(ALARMS.map((kind) => [kind, 0]));
        for (const log of open()) {
          const kind = log.alarm?.kind ?? (records.silentMs(log) === undefined ? undefined : 'silence');
          if (kind !== undefined) counts.set(kind, (counts.get(kind) ?? 0) + 1);
        }
        return counts;
      },
    },
  ];
}

function findingsOf(records: Pick<Records, 'silentMs'>, log: LogView): readonly Found[] {
  const what = `ledger ${log.origin}`;
  if (log.alarm !== undefined) {
    const { kind, found, sinceMs } = log.alarm;
    return [{ severity: 'degraded', what, key: kind, found: `${log.origin}: ${kind}: ${found}`, sinceMs }];
  }
  const silentMs = records.silentMs(log);
  if (silentMs === undefined) return [];
  const found = `${log.origin}: silence: nothing was heard of it for ${formatDurationMs(Math.floor(silentMs / 1000) * 1000)}`;
  return [{ severity: 'degraded', what, key: 'silence', found, sinceMs: log.heardMs, remedy: SILENT }];
}

/** That it will be taken later is not to be expected. */
function isRefusal(error: unknown): boolean {
  const refused: readonly unknown[] = [Code.FAILED_PRECONDITION, Code.INVALID_ARGUMENT, Code.PERMISSION_DENIED];
  return error instanceof RpcError ? refused.includes(error.code) : codeOf(error)?.startsWith('ERR_RECORDS_') === true;
}

const ALARMS: readonly (AlarmKind | 'silence')[] = ['fork', 'rollback', 'gap', 'edited', 'key', 'silence'];
/** Longer than a server takes to start. */
const LAG_MS_MAX = 60_000;
const SILENT =
  'See whether its writer runs and reaches a server. One that is gone for good: `countersign record accept NAME`.';
