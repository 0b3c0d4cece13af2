import { codeOf } from '../../std/index.ts';
import { exitCodes } from '../command.ts';

/** Standard output, whose reader may leave and whose disk may fill. */
export interface Output {
  /** @throws the error by which it was lost: whoever goes on writing has nobody to write for */
  write(text: string): void;
  /** True of that error. */
  isLost(error: unknown): boolean;
}

/**
 * Creates it. A reader that left early, as `head` does, had what it wanted; any other loss is a failure of the process, whatever its command
 * made of it. A role says one line and is not ended by either.
 */
export function createOutput(): Output {
  let lost: Error | undefined;
  process.stdout.on('error', (error) => {
    lost ??= error;
  });
  process.stderr.on('error', () => {}); // Nobody is left to be told.
  process.once('exit', () => {
    if (lost !== undefined && codeOf(lost) !== 'EPIPE') process.exitCode ||= exitCodes.internal;
  });
  return {
    write(text) {
      if (lost !== undefined) throw lost;
      process.stdout.write(text);
    },
    isLost: (error) => lost !== undefined && error === lost,
  };
}

/** How long a line there may be: the width of the terminal; where there is none, or it does not know, what $COLUMNS says, else 80. */
export function columnsOf(stream: Pick<NodeJS.WriteStream, 'columns'>): number {
  const told = Number(process.env['COLUMNS']);
  return stream.columns || (Number.isSafeInteger(told) && told > 0 ? told : COLUMNS);
}

const COLUMNS = 80;
