import { type CliCommand, exitCodes } from '../../command.ts';
import { restOptions, withRest } from '../../connections/with-rest.ts';
import { subjectText, timeOf } from '../../revocations/effect-text.ts';
import { formatList } from '../../terminal/table.ts';

export const command: CliCommand = {
  summary: 'List what is revoked and quarantined, oldest first.',
  options: restOptions,
  examples: ['countersign revocation list', 'countersign revocation list --json'],
  async run(context, input) {
    const { signal } = context;
    const { output } = await withRest(context, input, (client) => client.call('revocation.list', {}, { signal }));
    const rows = output.revocations.map((one) => [
      ...[one.id.slice(0, SHORT_ID), one.mode, timeOf(one.at)],
      ...[one.liftableFrom === undefined ? 'now' : timeOf(one.liftableFrom), subjectText(one), one.by, one.reason],
    ]);
    context.emit(output.revocations, () =>
      rows.length === 0
        ? 'Nothing is revoked or quarantined.'
        : formatList(['ID', 'MODE', 'SINCE', 'LIFTABLE', 'OF', 'BY', 'REASON'], rows, context.columns),
    );
    return exitCodes.ok;
  },
};

const SHORT_ID = 12;
