import type { CliCommand } from '../../command.ts';
import { restOptions, withRest } from '../../connections/with-rest.ts';
import { formatEffect, warnOfOpen } from '../../revocations/effect-text.ts';
import { revocationId } from '../../revocations/find-id.ts';

export const command: CliCommand = {
  summary: 'Show a revocation, and where it is in effect.',
  arguments: '<id>',
  options: restOptions,
  examples: ['countersign revocation show 5f3a09c1', 'countersign revocation show 5f3a09c1 --json'],
  async run(context, input) {
    const { signal } = context;
    const { output } = await withRest(context, input, async (client) =>
      client.call('revocation.get', { id: await revocationId(client, input, signal) }, { signal }),
    );
    context.emit(output, () => formatEffect(output, context.columns));
    return warnOfOpen(context, output);
  },
};
