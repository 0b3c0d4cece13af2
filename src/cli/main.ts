/** The command line: finds the command, parses its options, runs it, prints failures, sets the exit code. */
import { constants } from 'node:os';
import { Command } from 'commander';
import { VERSION } from '../app/version.ts';
import { codeOf, createSystemClock, createSystemRandom, holdProcess, messageOf } from '../std/index.ts';
import { type CliContext, type CommandRow, exitCodes } from './command.ts';
import { commands } from './commands.generated.ts';
import { createOutput, type Output } from './output.ts';
import { printable } from './printable.ts';
import { type StopSignal, watchStopSignals } from './stop-signals.ts';

process.exitCode = await main(process.argv.slice(2));
endSoon();

async function main(argv: readonly string[]): Promise<number> {
  const output = createOutput();
  const json = ownWords(argv).includes('--json');
  const program = new Command('countersign')
    .description('Every server-to-server call verified, authorised and logged.')
    .version(`countersign ${VERSION} on Node ${process.versions.node}`)
    .option('--config <file>', 'configuration file (default: $COUNTERSIGN_CONFIG or /etc/countersign/countersign.yaml)')
    .option('--json', 'print the result as one line of JSON')
    .enablePositionalOptions()
    // The words of a command stand in its own help; without them what it does fits beside its name in 80 columns.
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .showHelpAfterError('(--help shows what is allowed)')
    .configureOutput({ writeErr: (text) => void (json || process.stderr.write(text)) })
    .exitOverride();
  let exitCode: number = exitCodes.ok;
  let waits = false;
  const stop: Stop = { signal: undefined };
  for (const row of commands) {
    define({ program, output, stop }, row, async (context, input) => {
      const command = await row.load();
      waits = command.waits?.(input) ?? false;
      exitCode = await command.run(context, input);
    });
  }
  const release = holdProcess();
  try {
    await program.parseAsync(argv.length === 0 ? ['--help'] : [...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (output.isLost(error)) return exitCodes.ok;
    if (stop.signal === undefined) return await report(error, json);
    if (!waits) return reportStop(stop.signal, json);
    return error instanceof DOMException && error.name === 'AbortError' ? exitCodes.ok : await report(error, json);
  } finally {
    release();
  }
}

/** All is done: what somebody else still holds open must not keep whoever waits for this process. */
function endSoon(): void {
  const lingerMs = 10_000; // Twice what last words may take.
  createSystemClock().after(lingerMs, () => {
    const open = process.getActiveResourcesInfo().join(', ');
    process.stderr.write(`countersign: ended with something left open; please report it (${open})\n`);
    process.exit();
  });
}

/** The words that are ours: what follows `--` belongs to another program. */
function ownWords(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--');
  return end < 0 ? argv : argv.slice(0, end);
}

function define(
  { program, output, stop }: { program: Command; output: Output; stop: Stop },
  command: CommandRow,
  run: (context: CliContext, input: { options: Record<string, unknown>; args: string[] }) => Promise<void>,
): void {
  const parts = command.name.split(' ');
  let parent = program;
  for (const part of parts.slice(0, -1)) {
    const known = parent.commands.find((group) => group.name() === part);
    parent = known ?? parent.command(part).exitOverride().enablePositionalOptions().copyInheritedSettings(parent);
    // A group is what can be done in it.
    parent.description([parent.description(), parts.at(-1)].filter(Boolean).join(', '));
  }
  const leaf = parent
    .command(`${parts.at(-1) ?? ''}${command.arguments ? ` ${command.arguments}` : ''}`)
    .description(command.summary)
    .exitOverride();
  leaf.option('--json', 'print the result as one line of JSON').option('--config <file>', 'configuration file');
  for (const [flags, description, fallback] of command.options ?? []) {
    if (flags.includes('...'))
      leaf.option(flags.replace('...', ''), description, (value: string, before: string[]) => [...before, value], []);
    else leaf.option(flags, description, fallback);
  }
  leaf.addHelpText('after', `\nExamples:\n${command.examples.map((line) => `  $ ${line}`).join('\n')}`);
  if (command.passThrough) leaf.passThroughOptions().allowUnknownOption();
  leaf.action(async () => {
    const options: Record<string, unknown> = { ...program.opts(), ...leaf.opts() };
    await run(createContext(options, { output, stop }), { options, args: leaf.args });
  });
}

/** The signal that came, once one has. */
interface Stop {
  signal: StopSignal | undefined;
}

function createContext(
  options: Readonly<Record<string, unknown>>,
  { output, stop }: { output: Output; stop: Stop },
): CliContext {
  const json = options['json'] === true;
  const named = typeof options['config'] === 'string' ? options['config'] : process.env['COUNTERSIGN_CONFIG'];
  const controller = new AbortController();
  const clock = createSystemClock();
  const signals = watchStopSignals(process, clock, (name) => {
    stop.signal = name;
    controller.abort(new DOMException(`stopped by ${name}`, 'AbortError'));
  });
  return {
    json,
    commands,
    columns: process.stdout.columns ?? 80,
    terminalColumns: process.stdout.columns,
    env: process.env,
    configPath: named ?? '/etc/countersign/countersign.yaml',
    configNamed: named !== undefined,
    signal: controller.signal,
    nextSignal: signals.next,
    clock,
    random: createSystemRandom(),
    say: (line) => void (json || output.write(`${printable(line)}\n`)),
    emit: (value, human) => output.write(`${json ? JSON.stringify(value) : printable(human())}\n`),
    warn: (line) => void process.stderr.write(json ? `${JSON.stringify({ warning: line })}\n` : `${printable(line)}\n`),
    async stdin() {
      const chunks: Buffer[] = [];
      for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
      return Buffer.concat(chunks);
    },
  };
}

/** What was not done to its end must not look like a success to a script. The exit code is that of the signal, as shells give it. */
function reportStop(signal: StopSignal, json: boolean): number {
  const message = `stopped by ${signal} before it was done`;
  process.stderr.write(json ? errorLine('ERR_STOPPED', message) : `countersign: ${message}\n`);
  return 128 + constants.signals[signal];
}

/** Prints a failure for a person or, with `--json`, as `{ "error": { code, message } }`; returns the exit code. */
async function report(error: unknown, json: boolean): Promise<number> {
  const code = codeOf(error) ?? '';
  if (['commander.helpDisplayed', 'commander.help', 'commander.version'].includes(code)) return exitCodes.ok;
  if (code.startsWith('commander.')) {
    // For a person commander has printed it already.
    const message = messageOf(error).replace(/^error: /, '');
    if (json) process.stderr.write(errorLine('ERR_USAGE', message));
    return exitCodes.usage;
  }
  const message = messageOf(error);
  const { failureOf } = await import('./exit-code.ts'); // Only a failure needs to know all kinds of them.
  const failure = failureOf(error);
  process.stderr.write(
    json ? errorLine(failure.code, message) : `countersign: ${printable(message)}${code ? ` (${code})` : ''}\n`,
  );
  return failure.exitCode;
}

function errorLine(code: string, message: string): string {
  return `${JSON.stringify({ error: { code, message } })}\n`;
}
