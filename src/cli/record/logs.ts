import type { LogView } from '@countersign/sdk/contract/gen/countersign/control/v1/records_pb.ts';
import { formatList } from '../terminal/table.ts';

/** A log as `--json` shows it. */
export function logValue(log: LogView) {
  const { id, origin, generation, owner, verifierKey, checkpoint, alarm, found } = log;
  return {
    ...{ id, origin, generation, owner, verifierKey, checkpoint, state: stateOf(log) },
    ...{ entries: Number(log.entries), heardMs: Number(log.heardMs) },
    ...(alarm === '' ? {} : { alarm, found, alarmMs: Number(log.alarmMs) }),
  };
}

/** Logs for a person. */
export function formatLogs(logs: readonly LogView[], columns: number): string {
  const rows = logs.map((log) => [
    ...[
      String(log.id),
      log.origin,
      String(log.entries),
      new Date(Number(log.heardMs)).toISOString().replace(/\.\d+Z$/, 'Z'),
    ],
    stateOf(log) + (log.alarm === '' ? '' : `: ${log.found}`),
  ]);
  return formatList(['id', 'ledger', 'entries', 'heard', 'state'], rows, columns);
}

/** `shipped`, `ended`, `closed`, or what is wrong with it. */
function stateOf({ alarm, closed, ended }: LogView): string {
  if (closed) return alarm === '' ? 'closed' : `closed ${alarm}`;
  if (alarm !== '') return alarm;
  return ended ? 'ended' : 'shipped';
}
