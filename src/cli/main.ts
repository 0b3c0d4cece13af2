/**
 * The command line: finds the command, parses its options, runs it, prints failures, sets the exit code. Below it are
 *
 * - `commands/`: the commands, `<noun>/<verb>.ts`, each loaded when it is called;
 * - `program/`: the words that were typed, help, completion, what a failure ends with;
 * - `terminal/`: what is printed, in lines of the reader's width, and standard output itself;
 * - `processes/`: roles and other programs that a command runs, and the signals that end them;
 * - `door/`: an address of this machine that leads a program that was run, and nobody else, to a target;
 * - `connections/`: the server and the agent as commands reach them;
 * - `ledger/`, `entries/`, `policy/`, `sessions/`: what is asked of each of these, and how the answer reads;
 * - `declared/`: files of targets, policies and entries, and what becomes of them at the server and its gateways;
 * - `people/`: who logged in at which server, and REST as commands call it;
 * - `doctor/`: the checks of `doctor`.
 *
 * No import between these goes round: `terminal` knows none of the others, `doctor` most of them, and none knows a command.
 */
import { constants } from 'node:os';
import { codeOf, createSystemClock, createSystemRandom, holdProcess, messageOf } from '../std/index.ts';
import { type CliContext, exitCodes, type NamedCommand } from './command.ts';
import { commands } from './commands.generated.ts';
import { type StopSignal, watchStopSignals } from './processes/stop-signals.ts';
import { createProgram } from './program/create-program.ts';
import { asksForJson, type TypedWords, typedWords } from './program/typed-words.ts';
import { columnsOf, createOutput, type Output } from './terminal/output.ts';
import { jsonLine, printable } from './terminal/printable.ts';
import { wrapLines } from './terminal/table.ts';

process.exitCode = await main(process.argv.slice(2));
endSoon();

async function main(argv: readonly string[]): Promise<number> {
  const output = createOutput();
  const typed = typedWords(argv, commands);
  const json = asksForJson(typed);
  let exitCode: number = exitCodes.ok;
  let waits = false;
  const stop: Stop = { signal: undefined };
  const program = createProgram({
    ...{ commands, json, columns: columnsOf(process.stdout), write: output.write },
    async run(row, { options, args }) {
      const input = { options, args, handedOn: typed.handedOn };
      const command = await row.load();
      waits = command.waits?.(input) ?? false;
      exitCode = await command.run(createContext(options, { row, output, stop }), input);
    },
  });
  const release = holdProcess();
  try {
    await program.parseAsync(typed.own, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (output.isLost(error)) return exitCodes.ok;
    if (stop.signal === undefined) return await report(error, { typed, json });
    if (!waits) return reportStop(stop.signal, json);
    return error instanceof DOMException && error.name === 'AbortError'
      ? exitCodes.ok
      : await report(error, { typed, json });
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

/** The signal that came, once one has. */
interface Stop {
  signal: StopSignal | undefined;
}

function createContext(
  options: Readonly<Record<string, unknown>>,
  { row, output, stop }: { row: NamedCommand; output: Output; stop: Stop },
): CliContext {
  const json = options['json'] === true;
  const named = typeof options['config'] === 'string' ? options['config'] : process.env['COUNTERSIGN_CONFIG'];
  const controller = new AbortController();
  const clock = createSystemClock();
  const columns = columnsOf(process.stdout);
  const forPerson = (text: string) => (row.verbatim ? printable(text) : wrapLines(printable(text), columns));
  const signals = watchStopSignals(process, clock, (name) => {
    stop.signal = name;
    controller.abort(new DOMException(`stopped by ${name}`, 'AbortError'));
  });
  return {
    json,
    commands,
    columns,
    env: process.env,
    configPath: named ?? '/etc/countersign/countersign.yaml',
    configNamed: named !== undefined,
    signal: controller.signal,
    nextSignal: signals.next,
    clock,
    random: createSystemRandom(),
    say: (line) => void (json || output.write(`${forPerson(line)}\n`)),
    emit: (value, human) => output.write(json ? jsonLine(value) : `${forPerson(human())}\n`),
    warn: (line) => void process.stderr.write(json ? jsonLine({ warning: line }) : proseOf(line)),
    async stdin() {
      const chunks: Buffer[] = [];
      for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
      return Buffer.concat(chunks);
    },
  };
}

/** What was not done to its end must not look like a success to a script. The exit code is that of the signal, as shells give it. */
function reportStop(signal: StopSignal, json: boolean): number {
  tell({ code: 'ERR_STOPPED', message: `stopped by ${signal} before it was done` }, json);
  return 128 + constants.signals[signal];
}

/** Prints a failure; returns the exit code. */
async function report(error: unknown, { typed, json }: { typed: TypedWords; json: boolean }): Promise<number> {
  const code = codeOf(error);
  if (['commander.helpDisplayed', 'commander.help', 'commander.version'].includes(code ?? '')) return exitCodes.ok;
  if (code?.startsWith('commander.')) {
    const message = messageOf(error)
      .replace(/^error: /, '')
      .replace(/\n\(Did you mean (.*)\?\)$/, '; did you mean $1?');
    const { name, passThrough } = (code === 'commander.unknownOption' && typed.command) || {};
    const remedy = passThrough
      ? `; what is for another program follows --, as in \`countersign ${name} TARGET -- ${passThrough.words}\``
      : '';
    tell({ code: 'ERR_USAGE', message: message + remedy, note: '--help shows what is allowed' }, json);
    return exitCodes.usage;
  }
  const { failureOf } = await import('./program/exit-code.ts'); // Only a failure needs to know all kinds of them.
  const failure = failureOf(error);
  // What REST refuses comes with what to do.
  const remedy = error instanceof Error && 'remedy' in error && error.remedy ? `; ${String(error.remedy)}` : '';
  tell({ code: failure.code, message: `${messageOf(error)}${remedy}`, note: code }, json);
  return failure.exitCode;
}

/** Says what went wrong to a person, with a note, or with `--json` as `{ "error": { code, message } }`. */
function tell({ note, ...error }: { code: string; message: string; note?: string | undefined }, json: boolean): void {
  const text = `countersign: ${error.message}${note === undefined ? '' : ` (${note})`}`;
  process.stderr.write(json ? jsonLine({ error }) : proseOf(text));
}

/** Sentences for a person, on standard error; where that is no terminal, each stays the one line that a journal or `grep` wants. */
function proseOf(text: string): string {
  const shown = printable(text);
  const isAsked = process.stderr.isTTY || process.env['COLUMNS'] !== undefined;
  return `${isAsked ? wrapLines(shown, columnsOf(process.stderr)) : shown}\n`;
}
