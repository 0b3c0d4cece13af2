import { formatApprovals } from '../../approvals/approval-text.ts';
import { findOptions, targetOf } from '../../approvals/find-approval.ts';
import { type CliCommand, exitCodes, flagOption } from '../../command.ts';
import { restOptions, withRest } from '../../connections/with-rest.ts';

export const command: CliCommand = {
  summary: 'List operations that wait for an answer, oldest first, equal ones as one.',
  options: [['--over', 'those of the last day that wait no more, newest first'], ...findOptions, ...restOptions],
  examples: ['countersign approval list', 'countersign approval list --target shop --over --json'],
  async run(context, input) {
    const { signal, clock, columns } = context;
    const over = flagOption(input, 'over');
    const asked = { ...targetOf(input), over, limit: LISTED };
    const { output } = await withRest(context, input, (client) => client.call('approval.list', asked, { signal }));
    context.emit(output.items, () =>
      output.items.length === 0
        ? `No operation ${over ? 'was answered' : 'waits for an answer'}.`
        : formatApprovals(output.items, clock.now(), columns),
    );
    if (output.next !== undefined) context.warn(`there are more than ${LISTED}; narrow it by --target`);
    return exitCodes.ok;
  },
};

const LISTED = 100;
