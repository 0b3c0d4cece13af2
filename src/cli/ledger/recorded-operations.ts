import { policySchema } from '../../app/policy-schema.ts';
import type { LedgerReader } from '../../ledger/index.ts';
import { createKnownAttributes, type RecordedOperation, readOperation } from '../../policy/index.ts';
import { type CliContext, type CliInput, textOption } from '../command.ts';
import { asDamage, damageOf } from './folder.ts';
import { openLedgers } from './ledgers.ts';
import { spanOf } from './parse-time.ts';

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

/** Goes through the operations of the ledgers that are meant, one after the other. @throws LedgerError where one can't be read as far as it was signed */
export async function eachRecorded(
  context: CliContext,
  input: CliInput,
  take: (operation: RecordedOperation) => void,
): Promise<RecordedCount> {
  let cut = 0;
  for (const { reader } of openLedgers(context, input)) cut += await eachIn(reader, { context, input, take });
  return { cut };
}

async function eachIn(
  reader: LedgerReader,
  asked: { context: CliContext; input: CliInput; take: (operation: RecordedOperation) => void },
): Promise<number> {
  const { context, input, take } = asked;
  const damage = await damageOf(reader, context.signal);
  const [identity, target] = [textOption(input, 'identity'), textOption(input, 'target')];
  const span = spanOf(input, context.clock.now());
  const about = { kinds: KINDS, ...(target === undefined ? {} : { target }) };
  const known = createKnownAttributes();
  /** What an identity was may have been said before that time, such as when its session opened. */
  let isBehind = span.sinceMs !== undefined;
  let cut = 0;
  try {
    for await (const entry of reader.search({ ...about, ...span }, context.signal)) {
      if (identity !== undefined && entry.actor !== identity) continue;
      known.take(entry.detail);
      if (isBehind && known.attributesOf(entry.detail) === undefined) {
        isBehind = false;
        for await (const before of reader.search(about, context.signal)) {
          if (before.seq >= entry.seq) break;
          known.take(before.detail);
        }
      }
      const operation = readOperation(entry, policySchema, known);
      if (operation === 'cut') cut++;
      else if (operation !== undefined) take(operation);
    }
  } catch (error) {
    throw asDamage(error);
  }
  if (damage !== undefined) throw damage;
  return cut;
}

/** Those that say what policy was asked. */
const KINDS = ['intent', 'denial', 'session-open'] as const;
