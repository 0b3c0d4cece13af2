import { PolicyError, parseCaseTime } from '../../policy/index.ts';
import { type CliContext, type CliInput, textOption, UsageError } from '../command.ts';

/** The option of commands whose answer may depend on when it is asked. */
export const atOption = ['--at <time>', 'as if asked then, such as 2026-12-31T00:00:00Z (default: now)'] as const;

/** Epoch milliseconds. @throws UsageError */
export function askedAt(context: CliContext, input: CliInput): number {
  const text = textOption(input, 'at');
  if (text === undefined) return context.clock.now();
  try {
    return parseCaseTime(text);
  } catch (cause) {
    if (!(cause instanceof PolicyError)) throw cause;
    throw new UsageError(`--at: ${cause.message}`, { cause });
  }
}
