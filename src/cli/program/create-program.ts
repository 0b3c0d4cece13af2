import { Command } from 'commander';
import { VERSION } from '../../app/version.ts';
import type { CliInput, CommandRow } from '../command.ts';
import { jsonLine } from '../terminal/printable.ts';
import { groups } from './groups.ts';
import { type HelpOptions, helpText, jsonOption } from './help.ts';

export interface ProgramOptions extends HelpOptions {
  readonly commands: readonly CommandRow[];
  /** Standard output. */
  write(text: string): void;
  run(row: CommandRow, input: CliInput): Promise<void>;
}

/** The program as commander parses it, from the table of commands. It throws its failures, and says none. */
export function createProgram(options: ProgramOptions): Command {
  const { json, columns, write } = options;
  const version = { version: VERSION, node: process.versions.node };
  const program = new Command('countersign')
    .description('Every server-to-server call verified, authorised and logged.')
    .version(json ? jsonLine(version).trimEnd() : `countersign ${version.version} on Node ${version.node}`)
    .option('--config <file>', 'configuration file (default: $COUNTERSIGN_CONFIG or /etc/countersign/countersign.yaml)')
    .option('--json', 'print results, failures and this help as JSON')
    .enablePositionalOptions()
    .helpCommand(false)
    .configureHelp({
      // The words of a command stand in its own help; without them what it does fits beside its name in 80 columns.
      subcommandTerm: (command) => command.name(),
      formatHelp: (command, helper) => helpText(command, helper, options),
    })
    .configureOutput({
      writeOut: write,
      writeErr: write, // The help of a group that is named without a command: an answer, not a failure.
      outputError: () => {},
      getOutHelpWidth: () => columns,
      getErrHelpWidth: () => columns,
    })
    .exitOverride();
  for (const row of options.commands) define(program, row, options);
  return program;
}

function define(program: Command, row: CommandRow, { commands, run }: ProgramOptions): void {
  const [first = '', verb] = row.name.split(' ');
  const parent = verb === undefined ? program : groupOf(program, first, commands);
  const leaf = parent.command(verb ?? first).description(row.summary);
  const { arguments: words = '', passThrough } = row;
  if (words !== '') leaf.arguments(words);
  if (passThrough) leaf.usage(`[options] ${words} [-- ${passThrough.words}]`);
  for (const [flags, description, fallback] of [...(row.options ?? []), ...optionsOfAll(jsonOption(row))]) {
    if (flags.includes('...')) leaf.option(flags.replace('...', ''), `${description} (may be repeated)`, collect);
    else leaf.option(flags, description, fallback);
  }
  leaf.action(() =>
    run(row, { options: { ...program.opts(), ...leaf.parent?.opts(), ...leaf.opts() }, args: leaf.args }),
  );
}

function groupOf(program: Command, name: string, commands: readonly CommandRow[]): Command {
  const known = program.commands.find((one) => one.name() === name);
  if (known) return known;
  const { summary = '' } = groups[name] ?? {};
  const verbs = commands.flatMap((row) => (row.name.startsWith(`${name} `) ? [row.name.slice(name.length + 1)] : []));
  const group = program
    .command(name)
    .description(summary)
    // Among all commands a group is what can be done in it as well.
    .summary(`${summary.replace(/\.$/, '')}: ${verbs.join(', ')}`)
    .helpCommand(false)
    .enablePositionalOptions();
  for (const [flags, description] of optionsOfAll('print this help as JSON')) group.option(flags, description);
  return group;
}

/** Options that everything takes; `json` says what is printed so. */
function optionsOfAll(json: string) {
  return [
    ['--json', json],
    ['--config <file>', 'configuration file'],
  ] as const;
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}
