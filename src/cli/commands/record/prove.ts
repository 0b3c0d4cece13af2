import { writeFileSync } from 'node:fs';
import { type CliCommand, exitCodes, textOption, UsageError } from '../../command.ts';
import { isBusy, patiently } from '../../connections/patiently.ts';
import { restOptions, withRest } from '../../connections/with-rest.ts';

export const command: CliCommand = {
  summary: 'Make a proof that an entry of the record stands in its signed log; it can be checked anywhere.',
  arguments: '<id>',
  options: [['-o, --out <file>', 'write the proof there'], ...restOptions],
  verbatim: true,
  examples: [
    'countersign record prove 1/42 --out proof.json',
    'countersign record verify-export ./denials --key witness.vkey --proof proof.json',
  ],
  async run(context, input) {
    const [, log, position] = /^(\d{1,9})\/(\d{1,15})$/.exec(input.args[0] ?? '') ?? [];
    if (log === undefined || position === undefined)
      throw new UsageError('give the id of an entry as `record search` shows it, such as 1/42');
    const asked = { log: Number(log), position: Number(position) };
    // Of a large log it may be asked for several times until all is worked out.
    const work = () =>
      withRest(context, input, (client) => client.call('record.prove', asked, { signal: context.signal }));
    const { output } = await patiently(context, work, isBusy);
    const file = textOption(input, 'out');
    if (file !== undefined) writeFileSync(file, `${JSON.stringify(output, null, 2)}\n`);
    context.emit(file === undefined ? output : { ...asked, file }, () =>
      file === undefined ? JSON.stringify(output, null, 2) : `wrote the proof of entry ${log}/${position} to ${file}`,
    );
    return exitCodes.ok;
  },
};
