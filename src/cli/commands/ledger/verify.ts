import { existsSync, readFileSync } from 'node:fs';
import { parseProof, verifyProof } from '../../../ledger/index.ts';
import { type CliCommand, type CliContext, type CliInput, exitCodes, textOption, UsageError } from '../../command.ts';
import { ledgerLines, ledgerOptions, reportLines, verifierKey } from '../../ledger/folder.ts';
import { ledgerFolders } from '../../ledger/ledgers.ts';
import { reportValue, verifyAll } from '../../ledger/verify-all.ts';

export const command: CliCommand = {
  summary: 'Verify a ledger, or a copy of one, or one proof: names the first entry that was changed, dropped or moved.',
  options: [
    ['--key <file>', 'public key of the ledger (default: ledger.vkey beside its folder)'],
    ['--proof <file>', 'verify this proof instead of a folder'],
    ['--checkpoint <file...>', 'a signed checkpoint kept elsewhere, which the ledger must lead to'],
    ...ledgerOptions,
  ],
  examples: ['countersign ledger verify', 'countersign ledger verify --dir ./copy --key ledger.vkey'],
  async run(context, input) {
    const proof = textOption(input, 'proof');
    return proof === undefined ? verifyFolder(context, input) : verifyOne(context, input, proof);
  },
};

async function verifyFolder(context: CliContext, input: CliInput): Promise<number> {
  const reports = await verifyAll(ledgerFolders(context, input), context, input);
  context.emit(reportValue(reports), () => reports.flatMap((one) => reportLines(one, context.columns)).join('\n'));
  return reports.every(({ ok }) => ok) ? exitCodes.ok : exitCodes.no;
}

function verifyOne(context: CliContext, input: CliInput, file: string): number {
  if (!existsSync(file)) throw new UsageError(`there is no proof ${file}`);
  const key = verifierKey(input, textOption(input, 'dir') ?? file);
  const { entry, checkpoint } = verifyProof(parseProof(readFileSync(file, 'utf8')), { origin: key.name, key });
  context.emit(
    { ok: true, entry, origin: checkpoint.origin, size: checkpoint.size },
    () =>
      `Proven: entry ${entry.seq} of ${checkpoint.size} in ${checkpoint.origin}.\n${ledgerLines(context).line(entry)}`,
  );
  return exitCodes.ok;
}
