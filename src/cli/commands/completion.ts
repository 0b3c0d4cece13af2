import { argument, type CliCommand, exitCodes, UsageError } from '../command.ts';
import { completionScript, shells } from '../program/completion-script.ts';

export const command: CliCommand = {
  summary: 'Print a script by which a shell completes commands and options.',
  arguments: '<shell>',
  verbatim: true,
  examples: [
    'source <(countersign completion bash)',
    'source <(countersign completion zsh)',
    'countersign completion fish | source',
  ],
  async run(context, input) {
    const shell = shells.find((one) => one === argument(input, 0, 'the shell'));
    if (shell === undefined) throw new UsageError(`there are scripts for ${shells.join(', ')}`);
    const script = completionScript(shell, context.commands);
    context.emit({ shell, script }, () => script.trimEnd());
    return exitCodes.ok;
  },
};
