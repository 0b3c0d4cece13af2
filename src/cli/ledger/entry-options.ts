import type { LedgerEventKind } from '../../model/index.ts';
import { type CliInput, textOption, UsageError } from '../command.ts';

/** Kinds of entries, as they are called in lines and options, and in entries. */
const KINDS: Readonly<Record<string, LedgerEventKind>> = {
  ...{ intent: 'intent', outcome: 'outcome', denial: 'denial', open: 'session-open', close: 'session-close' },
  ...{ admin: 'admin', ledger: 'ledger' },
};
const NAMES = Object.keys(KINDS).join(', ');

/** Options by which entries are found, in a ledger as in the record. */
export const entryOptions = [
  ['--column <name>', 'what was read, written or masked of it'],
  ['--policy <id>', 'which policy allowed or refused it'],
  ['--shape <shape>', "operations that differ in values only, such as 'GET /v1/customers/{id}'"],
  ['--target <name>', 'which target'],
  ['--action <action>', 'such as postgres:delete'],
  ['--kind <kind>', `one of ${NAMES}`],
  ['--reason <reason>', 'why it was refused, such as policy-denied or no-identity'],
] as const;

/** The kind that --kind names. @throws UsageError */
export function kindOf(input: CliInput): LedgerEventKind | undefined {
  const name = textOption(input, 'kind');
  if (name === undefined) return undefined;
  const kind = KINDS[name];
  if (kind === undefined) throw new UsageError(`there is no kind ${name}; kinds are ${NAMES}`);
  return kind;
}

/** How many entries --lines asks for. @throws UsageError */
export function linesOf(input: CliInput): number | undefined {
  const text = textOption(input, 'lines');
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new UsageError('--lines is a whole number up to 999999');
  return Number(text);
}
