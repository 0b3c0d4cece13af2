import { formatApproval } from '../../approvals/approval-text.ts';
import { findApproval, findOptions } from '../../approvals/find-approval.ts';
import { type CliCommand, exitCodes } from '../../command.ts';
import { restOptions, withRest } from '../../connections/with-rest.ts';

export const command: CliCommand = {
  summary: 'Show an operation that waits or waited for an answer: what runs, for whom, and who has answered.',
  arguments: '<id>',
  options: [...findOptions, ...restOptions],
  examples: ['countersign approval show 5f3a09c1', 'countersign approval show 5f3a09c1 --json'],
  async run(context, input) {
    const { signal, clock, columns } = context;
    const shown = await withRest(context, input, (client) => findApproval(client, input, signal));
    context.emit(shown, () => formatApproval(shown, clock.now(), columns));
    return exitCodes.ok;
  },
};
