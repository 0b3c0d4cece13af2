import { answerOptions, giveAnswer } from '../../approvals/give-answer.ts';
import type { CliCommand } from '../../command.ts';

export const command: CliCommand = {
  summary: 'Let an operation run that waits, once: shows it, and asks whether it is what you mean.',
  arguments: '<id>',
  options: answerOptions,
  examples: ['countersign approval approve 5f3a09c1', 'countersign approval approve 5f3a09c1 --digest 9f86d081'],
  run: (context, input) => giveAnswer(context, input, 'approve'),
};
