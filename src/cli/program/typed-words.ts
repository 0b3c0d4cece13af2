import type { NamedCommand } from '../command.ts';

/** What was typed, cut where it stops being ours. */
export interface TypedWords {
  /** The words that are ours to understand. */
  readonly own: readonly string[];
  /** Those that a command hands on to another program, as they are. */
  readonly handedOn: readonly string[];
  /** The command that hands words on; undefined of any other. */
  readonly command?: NamedCommand;
}

/**
 * Of a command that hands words on, what follows `--` is another program's; without one, all from the first word on that is no argument of
 * the command. Whatever comes before is ours, also what nobody knows: that is refused, not handed on.
 */
export function typedWords(argv: readonly string[], commands: readonly NamedCommand[]): TypedWords {
  const words = helpOfSome(askedForHelp(argv), commands);
  const name = words[operandsOf(words, [])[0] ?? words.length];
  const command = commands.find((one) => one.passThrough !== undefined && one.name === name);
  if (command === undefined) return { own: words, handedOn: [] };
  const operands = operandsOf(words, command.options ?? []);
  const ownMax = 1 + (command.arguments ?? '').split(' ').length;
  const mark = words.indexOf('--');
  // With more words before it than are ours, a mark is one of the other program's own.
  if (mark >= 0 && operands.length <= ownMax)
    return { own: words.slice(0, mark), handedOn: words.slice(mark + 1), command };
  const begin = operands[command.passThrough?.needed ? 1 : ownMax] ?? words.length;
  return { own: words.slice(0, begin), handedOn: words.slice(begin), command };
}

/** True when `--json` is among the words that are ours. */
export function asksForJson({ own }: TypedWords): boolean {
  const end = own.indexOf('--');
  return (end < 0 ? own : own.slice(0, end)).includes('--json');
}

/** `help ledger tail` is `ledger tail --help`. */
function askedForHelp(argv: readonly string[]): readonly string[] {
  const first = operandsOf(argv, [])[0];
  if (first === undefined || argv[first] !== 'help') return argv;
  return [...argv.slice(0, first), ...argv.slice(first + 1), '--help'];
}

/** Nobody is helped by the help of all where what was named is not there: without the wish for help the word is refused. */
function helpOfSome(words: readonly string[], commands: readonly NamedCommand[]): readonly string[] {
  const [first = '', second] = operandsOf(words, []).map((at) => words[at]);
  const isThere = commands.some(({ name }) => {
    const isGroup = name.startsWith(`${first} `);
    return name === first || (isGroup && (second === undefined || name === `${first} ${second}`));
  });
  return first === '' || isThere ? words : words.filter((word) => word !== '--help' && word !== '-h');
}

/** Places of the words before `--` that are no option, nor the value of one. */
function operandsOf(words: readonly string[], options: NonNullable<NamedCommand['options']>): readonly number[] {
  const withValue = new Set(['--config', ...options.flatMap(([flags]) => (flags.includes('<') ? namesOf(flags) : []))]);
  const places: number[] = [];
  for (let at = 0; at < words.length && words[at] !== '--'; at++) {
    const word = words[at] ?? '';
    if (withValue.has(word)) at++;
    else if (!word.startsWith('-')) places.push(at);
  }
  return places;
}

function namesOf(flags: string): readonly string[] {
  return flags.match(/(?<=^|, )--?[a-z][a-z0-9-]*/g) ?? [];
}
