import { policySchema } from '../../../app/policy-schema.ts';
import { createTightening } from '../../../policy/index.ts';
import { type CliCommand, exitCodes, UsageError } from '../../command.ts';
import { ledgerOptions } from '../../ledger/folder.ts';
import { eachRecorded, recordedOptions } from '../../ledger/recorded-operations.ts';

export const command: CliCommand = {
  summary: 'Write the least permits that still allow what was used, with the evidence, by what stands in a ledger.',
  options: [...recordedOptions, ...ledgerOptions],
  verbatim: true,
  examples: [
    'countersign policy tighten --since 90d',
    'countersign policy tighten --since 90d --identity spiffe://example.org/shop/web --target shop',
  ],
  async run(context, input) {
    const tightening = createTightening(policySchema);
    const { cut } = await eachRecorded(context, input, (operation) => tightening.note(operation));
    if (cut > 0)
      context.warn(
        `warning: ${cut} entries do not say all that was asked: what they used may be missing from these permits`,
      );
    const permits = tightening.permits();
    if (permits.length === 0) throw new UsageError('nothing was used in this time that a permit could be written for');
    context.emit({ permits, cut }, () =>
      permits
        .map(({ text }) => text)
        .join('\n')
        .trimEnd(),
    );
    return exitCodes.ok;
  },
};
