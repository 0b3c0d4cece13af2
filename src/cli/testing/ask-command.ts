import { createManualClock, createSeededRandom } from '../../std/index.ts';
import type { CliCommand, CliContext } from '../command.ts';

/** One command as a terminal of 80 columns sees it at midnight before 2026-12-01, UTC, with what it says as JSON. */
export async function askCommand(
  options: Readonly<Record<string, unknown>>,
  command: CliCommand,
  ...args: readonly string[]
) {
  const seen: { text: string; value: unknown; values: unknown[]; said: string[]; warned: string[] } = {
    ...{ text: '', value: undefined, values: [], said: [], warned: [] },
  };
  const context: CliContext = {
    say: (line) => void seen.said.push(line),
    emit: (value, human) => {
      seen.value = JSON.parse(JSON.stringify(value));
      seen.values.push(seen.value);
      seen.text = human();
    },
    warn: (line) => void seen.warned.push(line),
    ...{ json: false, env: {}, configPath: '/nowhere', configNamed: false, commands: [] },
    columns: 80,
    signal: new AbortController().signal,
    clock: createManualClock(Date.parse('2026-12-01T00:00:00Z')),
    random: createSeededRandom('questions'),
    stdin: async () => Buffer.alloc(0),
  };
  const code = await command.run(context, { args, options });
  return { ...seen, code };
}
