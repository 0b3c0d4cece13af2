import { policySchema } from '../app/declared-rules.ts';
import type { LedgerFilter, LedgerReader } from '../ledger/index.ts';
import { type RecordedOperation, readOperation } from '../policy/index.ts';
import { type CliContext, type CliInput, textOption } from './command.ts';
import { asDamage, damageOf, openLedgerFolder } from './ledger-folder.ts';
import { parseTime } from './parse-time.ts';

/** Options of every command that goes through what was done. */
export const recordedOptions = [
  ['--identity <id>', 'only what one did: a SPIFFE ID'],
  ['--target <name>', 'only at that target'],
  ['--since <time>', 'not before: a time such as 2026-12-01T08:00:00Z, or so long ago, such as 30d'],
  ['--until <time>', 'not after: as for --since'],
] as const;

/** How many entries could not be asked again, since they do not say all that was asked. */
export interface RecordedCount {
  readonly cut: number;
}

/** Goes through the operations of a ledger's folder. @throws LedgerError where it can't be read as far as it was signed */
export async function eachRecorded(
  context: CliContext,
  input: CliInput,
  take: (operation: RecordedOperation) => void,
): Promise<RecordedCount> {
  const reader: LedgerReader = openLedgerFolder(context, input);
  const damage = await damageOf(reader, context.signal);
  const identity = textOption(input, 'identity');
  let cut = 0;
  try {
    for await (const entry of reader.search(filterOf(input, context.clock.now()), context.signal)) {
      if (identity !== undefined && entry.actor !== identity) continue;
      const operation = readOperation(entry, policySchema);
      if (operation === 'cut') cut++;
      else if (operation !== undefined) take(operation);
    }
  } catch (error) {
    throw asDamage(error);
  }
  if (damage !== undefined) throw damage;
  return { cut };
}

/** @throws UsageError */
function filterOf(input: CliInput, nowMs: number): LedgerFilter {
  const [since, until, target] = ['since', 'until', 'target'].map((name) => textOption(input, name));
  return {
    kinds: ['intent', 'denial', 'session-open'],
    ...(target === undefined ? {} : { target }),
    ...(since === undefined ? {} : { sinceMs: parseTime(since, { nowMs, what: '--since' }) }),
    ...(until === undefined ? {} : { untilMs: parseTime(until, { nowMs, what: '--until' }) }),
  };
}
