import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ownFolderOf, workerNamed } from '../../app/workers/own-folder.ts';
import { createDirectoryReader, LedgerError, type LedgerReader, type VerifyReport } from '../../ledger/index.ts';
import { messageOf, sleep } from '../../std/index.ts';
import { type NoteKey, parseCheckpoint, parseNote, parseVerifierKey, TlogError } from '../../wire/tlog/index.ts';
import { type CliContext, type CliInput, listOption, textOption, UsageError } from '../command.ts';
import { settingsIfAny } from '../settings.ts';
import { wrap } from '../terminal/table.ts';
import { createLedgerLines, type LedgerLines } from './lines.ts';

/** Options of every command that reads a ledger. */
export const ledgerOptions = [
  ['--dir <dir>', "the ledger's folder (default: the gateway's, from the configuration)"],
  ['--of <role>', 'whose ledger, when --dir is not given: gateway or server', 'gateway'],
  ['--worker <number>', 'of a gateway with several workers, which one (default: all; for show and prove the first)'],
] as const;

/** The ledger's folder: of a gateway with several workers that of the one that is named, else of the first. @throws UsageError */
export function ledgerFolder(context: CliContext, input: CliInput): string {
  const given = textOption(input, 'dir');
  const isOfRole = given !== undefined && !isLedger(given) && isLedger(join(given, 'ledger'));
  const named = isOfRole ? join(given, 'ledger') : given;
  const config = settingsIfAny(context);
  const of = textOption(input, 'of') ?? 'gateway';
  // A ledger that was not meant may be whole while the one that was is not.
  if (of !== 'gateway' && of !== 'server') throw new UsageError(`--of is gateway or server, not ${of}`);
  const role = config?.[of];
  const first = named ?? (role && join(role.dataDir, 'ledger'));
  const directory = first && ofWorker(first, input);
  if (directory === undefined)
    throw new UsageError("name the ledger's folder with --dir, or give a configuration file with --config");
  if (!existsSync(directory) || !statSync(directory).isDirectory())
    throw new UsageError(`there is no ledger in ${directory} that this user may read`);
  return directory;
}

/** The same of the worker that is named. @throws UsageError */
function ofWorker(directory: string, input: CliInput): string {
  const text = textOption(input, 'worker') ?? '1';
  const number = text === '1' ? 1 : workerNamed(text);
  if (number === undefined) throw new UsageError(`--worker is a number from 1 to 64, not ${text}`);
  return number === 1 ? directory : join(ownFolderOf(dirname(directory), number), 'ledger');
}

function isLedger(directory: string): boolean {
  return existsSync(join(directory, 'segments'));
}

/** Reads the folder, beside a role that writes it. */
export function openLedgerFolder(context: CliContext, input: CliInput): LedgerReader {
  return openLedgerIn(context, ledgerFolder(context, input));
}

/** As {@link openLedgerFolder}, of that folder. */
export function openLedgerIn(context: Pick<CliContext, 'clock'>, directory: string): LedgerReader {
  if (!isLedger(directory))
    throw new UsageError(`${directory} holds no ledger: it is another folder, empty, or a disk that is not mounted`);
  return createDirectoryReader({ clock: context.clock, directory });
}

/**
 * What is wrong with a ledger that can't be read as far as its newest checkpoint says it goes; undefined when it can. Only what hinders
 * reading is seen so: `ledger verify` finds every change.
 */
export async function damageOf(reader: LedgerReader, signal: AbortSignal): Promise<LedgerError | undefined> {
  try {
    // Asked first: what is written meanwhile makes the log longer than this says, never shorter.
    const signed = await signedEntries(reader);
    const readable = await entriesIn(reader, signal);
    if (readable >= signed) return undefined;
    return damaged(`entry ${readable} can not be read, though ${signed} entries were signed`);
  } catch (error) {
    const damage = asDamage(error);
    if (damage instanceof LedgerError && damage.code === 'ERR_LEDGER_CORRUPT') return damage;
    throw error;
  }
}

/** As {@link damageOf}, of the first of several where there is some. */
export async function damageOfAny(
  ledgers: readonly { readonly reader: LedgerReader }[],
  signal: AbortSignal,
): Promise<LedgerError | undefined> {
  for (const { reader } of ledgers) {
    const damage = await damageOf(reader, signal);
    if (damage !== undefined) return damage;
  }
  return undefined;
}

/** How many entries can be read. @throws LedgerError */
export async function entriesIn(reader: LedgerReader, signal: AbortSignal): Promise<number> {
  let entries = 0;
  for await (const { seq } of reader.tail({ count: 1, follow: false, signal })) entries = seq + 1;
  return entries;
}

/**
 * Does what reads one entry. One that was signed and is not there is damage, not a wrong number.
 * @throws LedgerError
 */
export async function readSigned<T>(reader: LedgerReader, sequence: number, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const isMissing = error instanceof LedgerError && error.code === 'ERR_LEDGER_NOT_FOUND';
    if (!isMissing || sequence >= (await signedEntries(reader))) throw asDamage(error);
    throw damaged(`entry ${sequence} was signed and can not be read: it, or one before it, is damaged or gone`, error);
  }
}

/** Waits for a checkpoint over an entry that was just written: its writer makes one each second. What is not there is not waited for. */
export async function untilSigned(
  reader: LedgerReader,
  sequence: number,
  { clock, signal }: Pick<CliContext, 'clock' | 'signal'>,
): Promise<void> {
  const until = clock.monotonicMs() + SIGNED_WITHIN_MS;
  while (sequence >= (await signedEntries(reader)) && clock.monotonicMs() < until) {
    // Whoever proves it says why it can't be read.
    const isThere = await reader.show(sequence, signal).then(
      () => true,
      () => false,
    );
    if (!isThere) return;
    await sleep(clock, SIGNED_LOOK_MS, signal);
  }
}

/** A failure of reading, with what to do when it comes of damage. */
export function asDamage(error: unknown): unknown {
  const isDamage = error instanceof TlogError || (error instanceof LedgerError && error.code === 'ERR_LEDGER_CORRUPT');
  return isDamage ? damaged(error.message, error) : error;
}

function damaged(what: string, cause?: unknown): LedgerError {
  return new LedgerError(
    'ERR_LEDGER_CORRUPT',
    `reading stopped: ${what}; \`countersign ledger verify\` says what was changed, leave the folder as it is`,
    { cause },
  );
}

/** How many entries the newest checkpoint covers. Its signature is not checked here. @throws TlogError when it can't be read */
async function signedEntries(reader: LedgerReader): Promise<number> {
  const note = await reader.checkpoint();
  return note === undefined ? 0 : parseCheckpoint(parseNote(note).text).size;
}

/** The public key that verifies the ledger: the file named with --key, else `ledger.vkey` beside the folder. @throws UsageError */
export function verifierKey(input: CliInput, directory: string): NoteKey {
  const path = verifierKeyPath(input, directory);
  if (!existsSync(path))
    throw new UsageError(
      `there is no verifier key ${path}; name it with --key (the writer keeps it as ledger.vkey beside its ledger)`,
    );
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new UsageError(`the verifier key ${path} can't be read: ${messageOf(cause)}`, { cause });
  }
  try {
    return parseVerifierKey(text.trim());
  } catch (cause) {
    throw new UsageError(`${path} is not the verifier key of a ledger: ${messageOf(cause)}`, { cause });
  }
}

/** Where that key is. */
export function verifierKeyPath(input: CliInput, directory: string): string {
  return textOption(input, 'key') ?? join(dirname(directory), 'ledger.vkey');
}

/**
 * The signed notes in the files named with --checkpoint. Whose they are, and whether the ledger leads to them, is for its verification to say.
 * @throws UsageError for a file that holds none: a wrong file says nothing of the ledger
 */
export function knownCheckpoints(input: CliInput): readonly string[] {
  return listOption(input, 'checkpoint').map((file) => {
    if (!existsSync(file)) throw new UsageError(`there is no checkpoint ${file}`);
    try {
      const note = readFileSync(file, 'utf8');
      parseNote(note);
      return note;
    } catch (cause) {
      throw new UsageError(`${file} is no checkpoint: ${messageOf(cause)}`, { cause });
    }
  });
}

/** The sequence number given as an argument. @throws UsageError */
export function sequenceArgument(input: CliInput): number {
  const text = input.args[0] ?? '';
  if (!/^\d{1,15}$/.test(text)) throw new UsageError('give the sequence number of an entry, as `ledger tail` shows it');
  return Number(text);
}

/** What is said of a verified folder. */
export function reportLines(report: VerifyReport, columns: number): readonly string[] {
  return [
    wrap(verdictOf(report), { columns, indent: 0 }),
    ...report.findings.map(({ kind, broken, message }) => {
      return `${broken ? 'XX' : ' ?'}  ${wrap(`${kind}: ${message}`, { columns, indent: 4 })}`;
    }),
  ];
}

function verdictOf(report: VerifyReport): string {
  const { ok, origin, entries, signedEntries, checkpoints, findings } = report;
  if (ok) {
    return `The ledger ${origin} is whole: ${entries} entries, ${signedEntries} of them under ${checkpoints} signed checkpoints.`;
  }
  const kinds = new Set(findings.filter(({ broken }) => broken).map(({ kind }) => kind));
  if (kinds.has('nothing-to-verify')) return `There is NOTHING to verify of the ledger ${origin}.`;
  if (kinds.has('other-version')) return `The ledger ${origin} can NOT be verified by this version of Countersign.`;
  return `The ledger ${origin} is NOT what was written.`;
}

/** Lines for entries, as wide as the terminal; identities of the configuration's trust domain by their paths. */
export function ledgerLines(context: CliContext): LedgerLines {
  return createLedgerLines({ columns: context.columns, trustDomain: settingsIfAny(context)?.trustDomain });
}

/** What is not signed after so long is left to the ledger's own conditions. */
const SIGNED_WITHIN_MS = 5000;
const SIGNED_LOOK_MS = 100;
