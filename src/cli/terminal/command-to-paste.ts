import { shellWord } from './shell-word.ts';
import { formatCommand, TERMINAL_WIDTH } from './table.ts';

/** A command of these words as a reader can paste it, in lines of a terminal's width behind that many blanks. */
export function commandToPaste(words: readonly string[], indent: number): string {
  return formatCommand(words.map(shellWord).join(' '), { columns: TERMINAL_WIDTH, indent });
}
