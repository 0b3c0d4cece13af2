import { shellWord } from './shell-word.ts';

/** A command that a reader can paste, in lines of a terminal's width behind the indent, each but the last going on in the next. */
export function commandLines(words: readonly string[], indent: string): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of words.map(shellWord)) {
    const longer = line === '' ? `${indent}${word}` : `${line} ${word}`;
    if (line !== '' && longer.length > COLUMNS - GOING_ON.length) {
      lines.push(`${line}${GOING_ON}`);
      line = `${indent}  ${word}`;
    } else line = longer;
  }
  return [...lines, line];
}

const COLUMNS = 80;
const GOING_ON = ' \\';
