import { type VerifyReport, verifyLedger } from '../../ledger/index.ts';
import { parseCheckpoint, parseNote } from '../../wire/tlog/index.ts';
import { type CliContext, type CliInput, textOption, UsageError } from '../command.ts';
import { knownCheckpoints, verifierKey } from './folder.ts';
import type { NamedLedger } from './ledgers.ts';

/**
 * Verifies each of these ledgers, by its own key and those checkpoints kept elsewhere that are its own.
 * @throws UsageError for a checkpoint that is of none of several, or one key for several: either says nothing of them
 */
export async function verifyAll(
  ledgers: readonly NamedLedger[],
  { signal }: Pick<CliContext, 'signal'>,
  input: CliInput,
): Promise<readonly VerifyReport[]> {
  const isOne = ledgers.length === 1;
  if (!isOne && textOption(input, 'key') !== undefined)
    throw new UsageError('each worker of the gateway signs with a key of its own; name the one meant with --worker');
  const known = knownCheckpoints(input);
  const keyed = ledgers.map(({ directory }) => ({ directory, key: verifierKey(input, directory) }));
  // Of one ledger, its verification says what is wrong with a foreign one.
  const isOf = (note: string, name: string) => isOne || parseCheckpoint(parseNote(note).text).origin === name;
  const stray = known.find((note) => !keyed.some(({ key }) => isOf(note, key.name)));
  if (stray !== undefined)
    throw new UsageError(
      `a checkpoint of ${parseCheckpoint(parseNote(stray).text).origin} is of none of these ledgers`,
    );
  const reports: VerifyReport[] = [];
  for (const { directory, key } of keyed) {
    const own = known.filter((note) => isOf(note, key.name));
    reports.push(await verifyLedger(directory, key, { signal, knownCheckpoints: own }));
  }
  return reports;
}

/** As JSON: of one ledger its report, of several all of them. */
export function reportValue(reports: readonly VerifyReport[]) {
  const [first] = reports;
  if (first !== undefined && reports.length === 1) return first;
  return { ok: reports.every(({ ok }) => ok), ledgers: reports };
}
