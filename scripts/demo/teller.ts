import { wrapLines } from '../../src/cli/terminal/table.ts';
import type { Stage } from './stage.ts';

/** What a step shows: lines for a person, and facts for `--json`. */
export interface Shown {
  readonly lines: readonly string[];
  readonly facts: Readonly<Record<string, unknown>>;
}

/** Thrown by a step that did not hold. */
export class StepFailed extends Error {}

/** Tells the tour, for a person or as JSON lines. */
export function createTeller(options: { json: boolean }) {
  const paint = process.stdout.isTTY && !options.json;
  const bold = (text: string) => (paint ? `\x1b[1m${text}\x1b[0m` : text);
  const dim = (text: string) => (paint ? `\x1b[2m${text}\x1b[0m` : text);
  const print = (text: string) => void (options.json || process.stdout.write(`${text}\n`));
  const emit = (line: object) => void (options.json && process.stdout.write(`${JSON.stringify(line)}\n`));
  let count = 0;
  let current = '';
  return {
    title: (text: string) => print(`\n${bold(text)}\n`),
    async step<T>(name: string, title: string, run: () => Promise<T>): Promise<T> {
      current = name;
      count++;
      print(`${bold(`${count}. ${title}`)}`);
      const startedMs = performance.now();
      const result = await run();
      const tookMs = Math.round(performance.now() - startedMs);
      const shown = shownOf(result);
      for (const line of shown.lines) print(wrapLines(`   ${line}`, COLUMNS));
      print(`   ${dim(`held, ${tookMs} ms`)}\n`);
      emit({ step: name, ok: true, tookMs, ...shown.facts });
      return result;
    },
    invite(stage: Stage) {
      print(bold('Your turn. All of it is still running, with you as spiffe://example.org/you.\nIn another terminal:'));
      for (const line of stage.invitation()) print(`   ${line}`);
      print(`\n   ${dim('Ctrl-C here stops everything and removes its files.')}`);
      emit({ step: 'ready', ok: true, invitation: stage.invitation() });
    },
    failed(error: unknown, stage: Stage | undefined) {
      const message = error instanceof Error ? error.message : String(error);
      process.stderr.write(`\nThe step "${current}" did not hold: ${message}\n`);
      if (error instanceof StepFailed) {
        // The logs are deleted with everything else when the tour ends.
        const troubles = lastTroubles(stage?.logs() ?? '');
        if (troubles.length > 0)
          process.stderr.write(`\nLast warnings and errors of the roles:\n${troubles.join('\n')}\n`);
      } else process.stderr.write(`${error instanceof Error ? (error.stack ?? '') : ''}\n${stage?.logs() ?? ''}\n`);
      emit({ step: current, ok: false, message });
    },
  };
}

/** The last lines of a log that are warnings or errors. */
export function lastTroubles(logs: string): string[] {
  const lines = logs.split('\n').filter((line) => /"level":"(warn|error|fatal)"/.test(line));
  return lines.slice(-TROUBLES_SHOWN_MAX);
}

function shownOf(result: unknown): Shown {
  if (typeof result === 'object' && result !== null && 'lines' in result && 'facts' in result) return result as Shown; // Steps return it; the stage does too.
  return { lines: [], facts: {} };
}

const COLUMNS = 80;
/** As many as fit a screen beside the step. */
const TROUBLES_SHOWN_MAX = 20;
