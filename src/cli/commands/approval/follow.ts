import { formatApprovals, type ListedApproval } from '../../approvals/approval-text.ts';
import { findOptions, targetOf } from '../../approvals/find-approval.ts';
import { type CliCommand, exitCodes } from '../../command.ts';
import { followEvents } from '../../connections/follow-events.ts';
import { restOptions } from '../../connections/with-rest.ts';

export const command: CliCommand = {
  summary: 'Show each operation that begins to wait for an answer, and when it waits no more, until it is stopped.',
  options: [...findOptions, ...restOptions],
  lines: 'each that begins to wait, or waits no more',
  examples: ['countersign approval follow', 'countersign approval follow --target shop --json'],
  waits: () => true,
  async run(context, input) {
    let before = new Map<string, ListedApproval>();
    let isFirst = true;
    await followEvents(context, input, {
      ...{ name: 'approval.follow', asked: targetOf(input) },
      show({ approvals, more }) {
        const now = new Map(approvals.map((one) => [one.id, one]));
        const tell = (what: 'waits' | 'over', one: ListedApproval) =>
          context.emit({ event: what, ...one }, () => {
            const line = formatApprovals([one], context.clock.now(), context.columns);
            return what === 'waits' ? line : `waits no more: ${one.id.slice(0, SHORT_ID)} ${one.title}`;
          });
        for (const [id, one] of before) if (!now.has(id)) tell('over', one);
        for (const [id, one] of now) if (!before.has(id)) tell('waits', one);
        if (more) context.warn(`more wait than are shown; \`countersign approval list\` has them`);
        if (isFirst && approvals.length === 0) context.say('No operation waits for an answer yet.');
        isFirst = false;
        before = now;
      },
    });
    return exitCodes.ok;
  },
};

const SHORT_ID = 12;
