import { createReadStream, existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type LedgerProof, parseProof, verifyProof } from '../../../ledger/index.ts';
import {
  linesOf,
  parseManifest,
  parseServerKey,
  type VerifiedManifest,
  verifyLines,
  verifyManifest,
} from '../../../records/index.ts';
import { messageOf } from '../../../std/index.ts';
import { type NoteKey, parseInclusionText, parseNote, parseVerifierKey } from '../../../wire/tlog/index.ts';
import { argument, type CliCommand, type CliInput, exitCodes, listOption, UsageError } from '../../command.ts';
import { ledgerLines } from '../../ledger/folder.ts';
import { exportFiles } from '../../record/export-folder.ts';

export const command: CliCommand = {
  summary: 'Verify an export, without any server: names the first line that is missing, added, changed or moved.',
  arguments: '<dir>',
  options: [
    ['--key <file...>', 'public key of a server that may have signed it: witness.vkey of its data folder'],
    ['--proof <file...>', 'verify this proof of an entry as well, by the keys of logs in the export'],
  ],
  examples: [
    'countersign record verify-export ./denials --key witness.vkey',
    'countersign record verify-export ./denials --key witness.vkey --proof proof.json',
  ],
  async run(context, input) {
    const directory = resolve(argument(input, 0, 'the folder of the export'));
    const manifest = exportFiles.manifest(directory);
    if (!existsSync(manifest))
      throw new UsageError(
        existsSync(exportFiles.progress(directory))
          ? `${directory} has an export that was cut off: \`record export --resume\` goes on with it`
          : `${directory} has no export: there is no manifest.json`,
      );
    const verified = verifyManifest(parseManifest(readFileSync(manifest, 'utf8')), keysOf(input));
    const { lines, selection, signer, exportedLogs } = verified;
    const { format, filter } = selectionOf(selection);
    const file = exportFiles.lines(directory, format);
    const marks = exportFiles.marks(directory);
    const verdict = existsSync(file)
      ? await verifyLines(
          linesOf(createReadStream(file)),
          verified,
          existsSync(marks) ? createReadStream(marks) : undefined,
        )
      : ({ ok: false, line: 1, what: 'missing', found: `there is no ${file}` } as const);
    const proven = proofsOf(input).map((proof) => verifyOne(proof, verified));
    const shown = {
      lines,
      filter,
      format,
      signer,
      logs: exportedLogs.map(({ log, origin, size, gone = 0 }) => ({ log, origin, size, gone })),
    };
    context.emit({ ...verdict, ...shown, proven: proven.map(({ seq }) => seq) }, () => {
      const entries = exportedLogs.reduce((sum, { size }) => sum + size, 0);
      const gone = exportedLogs.reduce((sum, log) => sum + (log.gone ?? 0), 0);
      const left = gone === 0 ? '' : ` (${gone} of them had left the record by then)`;
      const of = `${exportedLogs.length} logs with ${entries} entries${left}, as ${signer} says`;
      const said = verdict.ok
        ? [`The export is whole: ${lines} lines are all that ${filter} selects of ${of}.`]
        : [
            `The export is NOT what was signed: ${verdict.found}.`,
            `Signed were ${lines} lines, all that ${filter} selects of ${of}.`,
          ];
      const entry = ledgerLines(context);
      return [...said, ...proven.map((one) => `Proven: ${entry.line(one)}`)].join('\n');
    });
    return verdict.ok ? exitCodes.ok : exitCodes.no;
  },
};

/** @throws LedgerError ERR_LEDGER_PROOF_INVALID; UsageError for an entry of a log that the export is not of */
function verifyOne(proof: LedgerProof, { exportedLogs }: VerifiedManifest) {
  const origin = parseNote(parseInclusionText(proof.proof).checkpoint).text.split('\n')[0] ?? '';
  const log = exportedLogs.find((one) => one.origin === origin);
  if (log === undefined) throw new UsageError(`the proof is of ${origin}, which the export is not of`);
  return verifyProof(proof, { origin, key: parseVerifierKey(log.verifierKey) }).entry;
}

/** @throws UsageError */
function keysOf(input: CliInput): NoteKey[] {
  const files = listOption(input, 'key');
  if (files.length === 0)
    throw new UsageError(
      'give the public key of the server with --key: witness.vkey in its data folder, brought by a way that you trust',
    );
  return files.map((file) => {
    try {
      return parseServerKey(readFileSync(file, 'utf8'));
    } catch (cause) {
      throw new UsageError(`${file} is no key of a server: ${messageOf(cause)}`, { cause });
    }
  });
}

/** @throws UsageError; LedgerError ERR_LEDGER_PROOF_INVALID */
function proofsOf(input: CliInput): LedgerProof[] {
  return listOption(input, 'proof').map((file) => {
    if (!existsSync(file)) throw new UsageError(`there is no proof ${file}`);
    return parseProof(readFileSync(file, 'utf8'));
  });
}

function selectionOf(selection: string): { readonly format: 'jsonl' | 'csv'; readonly filter: string } {
  const { format, filter } = JSON.parse(selection) as { format: unknown; filter: unknown }; // Canonical JSON, and signed.
  return { format: format === 'csv' ? 'csv' : 'jsonl', filter: JSON.stringify(filter) };
}
