import { answerOptions, giveAnswer } from '../../approvals/give-answer.ts';
import type { CliCommand } from '../../command.ts';

export const command: CliCommand = {
  summary: 'Have an operation refused that waits: shows it, and asks whether it is what you mean.',
  arguments: '<id>',
  options: answerOptions,
  examples: ['countersign approval deny 5f3a09c1 --reason "not during the sale"'],
  run: (context, input) => giveAnswer(context, input, 'deny'),
};
