import type { AlarmKind, LogView, Records, Retention, Sinks, SinkView } from '../../records/index.ts';
import { Code, RpcError } from '../../rpc/index.ts';
import { type Clock, codeOf, formatDurationMs, messageOf } from '../../std/index.ts';
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

/** What is wrong with sinks that this server hands over to. */
export function createSinkCheck(sinks: Pick<Sinks, 'views'>, clock: Clock): HealthCheck {
  return () => sinks.views().flatMap((view) => sinkFindings(view, clock.now()));
}

/** What keeps content in the record that is past its time. */
export function createRetentionCheck(retention: Pick<Retention, 'view'>, clock: Clock): HealthCheck {
  return () => {
    const { problem, waiting } = retention.view();
    const late = waiting.filter(({ sinceMs }) => clock.now() - sinceMs >= WAITING_MS_MAX);
    const findings: Found[] = late.map(({ for: what, entries, sinceMs }) => ({
      ...{ severity: 'degraded', what, key: `waits for ${what}`, sinceMs },
      found: `up to ${entries} entries that are past their time wait for ${what}`,
    }));
    if (problem !== undefined)
      findings.push({
        ...{ severity: 'degraded', key: 'failed', sinceMs: problem.sinceMs },
        found: `nothing leaves the record: ${problem.reason}`,
      });
    return findings;
  };
}

/** How far sinks are; at a server that does not hand over to one, nothing of it. */
export function sinkMetrics(sinks: Pick<Sinks, 'views'>): readonly Metric[] {
  const figures = (read: (view: SinkView) => number | undefined) => () =>
    new Map(
      sinks.views().flatMap((view) => {
        const value = read(view);
        return value === undefined ? [] : [[view.name, value] as const];
      }),
    );
  const label = 'sink';
  return [
    {
      ...{ name: 'countersign_record_sink_behind_entries', label },
      help: 'Entries of the record that were not looked at yet for the sink.',
      read: figures(({ behind }) => behind),
    },
    {
      ...{ name: 'countersign_record_sink_taken_entries', label },
      help: 'Entries that the sink took of this process.',
      read: figures(({ taken }) => taken),
    },
    {
      ...{ name: 'countersign_record_sink_refused_entries', label },
      help: 'Entries that the sink refuses, and that what comes behind in their ledgers waits for.',
      read: figures(({ isRunner, refused }) => (isRunner ? refused.length : undefined)),
    },
    {
      ...{ name: 'countersign_record_sink_away', label },
      help: 'Whether nothing can be handed over to the sink.',
      read: figures(({ isRunner, away }) => (isRunner || away !== undefined ? Number(away !== undefined) : undefined)),
    },
  ];
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

/** What of a ledger is not in the record yet. */
export function shippingMetrics(shipping: Pick<LedgerShipping, 'lag'>): readonly Metric[] {
  return [
    {
      name: 'countersign_record_lag_entries',
      help: 'Signed entries of the ledger that are not known to be in the record.',
      read: () => shipping.lag().entries,
    },
    {
      name: 'countersign_record_lag_seconds',
      help: 'For how long there have been such entries.',
      read: () => shipping.lag().forMs / 1000,
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

function sinkFindings({ name, away, refused, behind }: SinkView, nowMs: number): readonly Found[] {
  const what = `sink ${name}`;
  const findings: Found[] = refused.map(({ log, position, origin, reason, sinceMs }) => ({
    ...{ severity: 'degraded', what, key: `refused ${log}/${position}`, sinceMs },
    found: `${name} refuses entry ${log}/${position} of ${origin}, and what comes behind it in that ledger waits: ${reason}`,
    remedy: `See what it is: \`countersign record show ${log}/${position}\`. Have the sink take it, or leave it out: \`skip: ['${log}/${position}']\` under server.sinks.${name}, and start the servers again.`,
  }));
  if (away !== undefined && nowMs - away.sinceMs >= AWAY_MS_MAX) {
    const waiting =
      behind === undefined ? '' : `; ${behind} entries wait${away.next === undefined ? '' : ` from ${away.next} on`}`;
    findings.push({
      ...{ severity: 'degraded', what, key: 'away', sinceMs: away.sinceMs },
      found: `${name} takes nothing: ${away.reason}${waiting}`,
    });
  }
  return findings;
}

/** That it will be taken later is not to be expected. */
function isRefusal(error: unknown): boolean {
  const refused: readonly unknown[] = [Code.FAILED_PRECONDITION, Code.INVALID_ARGUMENT, Code.PERMISSION_DENIED];
  return error instanceof RpcError ? refused.includes(error.code) : codeOf(error)?.startsWith('ERR_RECORDS_') === true;
}

const ALARMS: readonly (AlarmKind | 'silence')[] = ['fork', 'rollback', 'gap', 'edited', 'key', 'silence'];
/** Longer than whatever takes it needs to be started again. */
const AWAY_MS_MAX = 30_000;
/** Longer than an export of a whole record takes, as a rule. */
const WAITING_MS_MAX = 3_600_000;
/** Longer than a server takes to start. */
const LAG_MS_MAX = 60_000;
const SILENT =
  'See whether its writer runs and reaches a server. One that is gone for good: `countersign record accept NAME`.';
