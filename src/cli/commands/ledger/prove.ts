import { writeFileSync } from 'node:fs';
import { type CliCommand, exitCodes, textOption } from '../../command.ts';
import { ledgerOptions, openLedgerFolder, readSigned, sequenceArgument, untilSigned } from '../../ledger/folder.ts';

export const command: CliCommand = {
  summary:
    'Make a proof that an entry stands in the signed ledger; it can be checked anywhere, with the public key alone.',
  arguments: '<sequence>',
  options: [['-o, --out <file>', 'write the proof there'], ...ledgerOptions],
  verbatim: true,
  examples: [
    'countersign ledger prove 42 --out proof.json',
    'countersign ledger verify --proof proof.json --key ledger.vkey',
  ],
  async run(context, input) {
    const sequence = sequenceArgument(input);
    const reader = openLedgerFolder(context, input);
    const proof = await readSigned(reader, sequence, async () => {
      await untilSigned(reader, sequence, context);
      return reader.prove(sequence, context.signal);
    });
    const file = textOption(input, 'out');
    if (file !== undefined) writeFileSync(file, `${JSON.stringify(proof, null, 2)}\n`);
    context.emit(file === undefined ? proof : { sequence, file }, () =>
      file === undefined ? JSON.stringify(proof, null, 2) : `wrote the proof of entry ${sequence} to ${file}`,
    );
    return exitCodes.ok;
  },
};
