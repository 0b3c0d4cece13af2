import { createInterface } from 'node:readline/promises';
import { type CliContext, UsageError } from '../command.ts';

/** Where somebody is asked. */
export interface AskedTerminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream;
}

/**
 * Asks a question that only `y` or `yes` says yes to. `unasked`: what to do where nobody is there to ask.
 * @throws UsageError there; the abort error
 */
export async function confirm(
  context: Pick<CliContext, 'json' | 'signal'>,
  { question, unasked }: { readonly question: string; readonly unasked: string },
  { input, output }: AskedTerminal = { input: process.stdin, output: process.stderr },
): Promise<boolean> {
  if (context.json || input.isTTY !== true) throw new UsageError(`nobody is there to ask; ${unasked}`);
  const prompt = createInterface({ input, output });
  // Whoever ends the input has said no.
  const closed = new Promise<string>((resolve) => prompt.once('close', () => resolve('')));
  try {
    const answer = prompt.question(`${question} [y/N] `, { signal: context.signal });
    return /^y(es)?$/i.test((await Promise.race([answer, closed])).trim());
  } finally {
    prompt.close();
  }
}
