/** The manual page, in man(7), from the table of commands. */
import type { NamedCommand } from '../src/cli/command.ts';
import { jsonOption } from '../src/cli/program/help.ts';
import { formatCommand } from '../src/cli/terminal/table.ts';

export function manualPage(commands: readonly NamedCommand[]): string {
  return [
    '.TH COUNTERSIGN 1 "" countersign Countersign\n',
    section('NAME', 'countersign \\- every server\\-to\\-server call verified, authorised and logged'),
    section('SYNOPSIS', '.B countersign\nCOMMAND [OPTIONS]'),
    section('COMMANDS', commands.map(commandText).join('')),
    section('OPTIONS OF ALL COMMANDS', EVERYWHERE.map(([flags, text]) => entry(flags, text)).join('')),
    section('FILES', entry('/etc/countersign/countersign.yaml', 'The configuration, unless another is named.')),
    section(
      'ENVIRONMENT',
      entry('COUNTERSIGN_CONFIG', 'Names the configuration where --config does not.') +
        entry('COLUMNS', 'How wide a line may be where no terminal shows it; 80 without it.'),
    ),
  ].join('');
}

function commandText(command: NamedCommand): string {
  const { name, summary, arguments: words = '', options = [], examples, passThrough } = command;
  const handedOn = passThrough ? ` [-- ${passThrough.words}]` : '';
  const title = `.SS countersign ${escaped(`${name} ${words}${handedOn}`.trim())}\n${escaped(summary)}\n`;
  const flags = [...options, ['--json', jsonOption(command)]]
    .map(([flag = '', text = '']) => entry(flag, text))
    .join('');
  const shown = examples.map((line) => escaped(formatCommand(line, { columns: EXAMPLE_COLUMNS, indent: 0 })));
  return `${title}${flags}.PP\nExamples:\n.PP\n.nf\n.RS\n${shown.join('\n')}\n.RE\n.fi\n`;
}

function section(title: string, text: string): string {
  return `.SH ${title}\n${text}${text.endsWith('\n') ? '' : '\n'}`;
}

function entry(term: string, text: string): string {
  return `.TP\n.B ${escaped(term)}\n${escaped(text)}\n`;
}

/** Text that troff takes as it stands: a backslash, a hyphen that can be copied, no control character at the beginning of a line. */
function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('…', '...') // The one sign of these texts that a plain terminal lacks.
    .replaceAll('-', '\\-')
    .replaceAll(/^([.'])/gm, '\\&$1');
}

/** Of 80, behind the indent of an example. */
const EXAMPLE_COLUMNS = 66;
const EVERYWHERE = [
  [
    '--json',
    'Prints the result as one line of JSON, a list as an array; what a command shows one after another as a line each. A failure is { "error": { "code", "message" } } on standard error, help a description of the commands.',
  ],
  ['--config <file>', 'The configuration file.'],
  ['-h, --help', 'Says what the command takes.'],
] as const;
