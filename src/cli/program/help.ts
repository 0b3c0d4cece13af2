import { type Command, Help } from 'commander';
import type { NamedCommand } from '../command.ts';
import { jsonLine } from '../terminal/printable.ts';
import { formatCommand } from '../terminal/table.ts';
import { groups } from './groups.ts';

/** What a command, a group of them or the program is and takes: for a person, or with `--json` as one line. */
export function helpText(command: Command, helper: Help, about: HelpOptions): string {
  const name = nameOf(command);
  const words = about.commands.find((one) => one.name === name);
  if (about.json)
    return jsonLine(
      words === undefined ? groupValue(name, command.description(), about.commands) : commandValue(words),
    );
  const text = Help.prototype.formatHelp.call(helper, command, helper);
  const examples = (words ?? groups[name])?.examples ?? [];
  if (examples.length === 0) return text;
  return `${text}\nExamples:\n${examples.map((line) => `  $ ${formatCommand(line, { columns: about.columns, indent: 4 })}\n`).join('')}`;
}

export interface HelpOptions {
  readonly json: boolean;
  readonly columns: number;
  readonly commands: readonly NamedCommand[];
}

/** What `--json` means for a command. */
export function jsonOption({ passThrough, lines }: NamedCommand): string {
  if (passThrough !== undefined) return 'print what is ours as one line of JSON, a failure too';
  if (lines !== undefined) return `print ${lines} as one line of JSON; no line where there is none`;
  return 'print the result as one line of JSON, a list as an array';
}

/** One command as a value: without what only the table needs. */
function commandValue({ name, summary, arguments: words, options = [], examples }: NamedCommand) {
  return {
    ...{ name, summary, arguments: words ?? '', examples },
    options: options.map(([flags, text, fallback]) => ({ flags, text, default: fallback })),
  };
}

/** The group of commands, or all of them, as a value. */
function groupValue(name: string, summary: string, commands: readonly NamedCommand[]) {
  const members = commands.filter((one) => name === '' || one.name.startsWith(`${name} `));
  return {
    ...(name === '' ? {} : { name }),
    ...{ summary, examples: groups[name]?.examples ?? [] },
    commands: members.map((one) => ({ name: one.name, summary: one.summary })),
  };
}

/** `ledger tail`; empty of the program. */
function nameOf(command: Command): string {
  if (command.parent === null) return '';
  return `${nameOf(command.parent)} ${command.name()}`.trim();
}
