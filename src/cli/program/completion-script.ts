import type { NamedCommand } from '../command.ts';

/** Shells that a script is there for. */
export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** A script that completes commands and their options; it is all there is to know, and asks this program nothing. */
export function completionScript(shell: Shell, commands: readonly NamedCommand[]): string {
  const words = wordsAfter(commands);
  if (shell === 'fish') return fishScript(commands, words);
  return shell === 'zsh' ? `autoload -U +X bashcompinit && bashcompinit\n${bashScript(words)}` : bashScript(words);
}

/** What may follow each command or group, by its words; those of the program itself by ''. */
function wordsAfter(commands: readonly NamedCommand[]): Map<string, Set<string>> {
  const words = new Map<string, Set<string>>();
  const add = (after: string, word: string) => words.set(after, (words.get(after) ?? new Set<string>()).add(word));
  for (const { name, options = [] } of commands) {
    const parts = name.split(' ');
    for (const [index, part] of parts.entries()) add(parts.slice(0, index).join(' '), part);
    for (const flag of [...options.flatMap(([flags]) => longFlags(flags)), ...EVERYWHERE]) add(name, flag);
  }
  for (const flag of [...EVERYWHERE, '--version']) add('', flag);
  return words;
}

function longFlags(flags: string): string[] {
  return flags.match(/--[a-z][a-z0-9-]*/g) ?? [];
}

/** Walks the words before the cursor as far as they name a command; file names follow where no word of ours fits. */
function bashScript(words: ReadonlyMap<string, ReadonlySet<string>>): string {
  const cases = Array.from(words, ([after, next]) => `    "${after}") next="${[...next].join(' ')}" ;;\n`);
  return `# Completions of countersign. In ~/.bashrc or ~/.zshrc: source <(countersign completion bash), or zsh.
_countersign_next() {
  case "$1" in
${cases.join('')}    *) return 1 ;;
  esac
}
_countersign() {
  local next='' path='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) continue ;; esac
    _countersign_next "\${path:+$path }$word" && path="\${path:+$path }$word"
  done
  _countersign_next "$path"
  COMPREPLY=($(compgen -W "$next" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _countersign countersign
`;
}

function fishScript(commands: readonly NamedCommand[], words: ReadonlyMap<string, ReadonlySet<string>>): string {
  const lines = commands.flatMap(({ name, summary, options = [] }) => {
    const parts = name.split(' ');
    const verb = parts.at(-1) ?? '';
    const verbs = [...(words.get(parts.slice(0, -1).join(' ')) ?? [])].filter((word) => !word.startsWith('-'));
    const place =
      parts.length === 1
        ? '__fish_use_subcommand'
        : `${seen(parts.slice(0, -1))}; and not __fish_seen_subcommand_from ${verbs.join(' ')}`;
    return [
      `complete -c countersign -f -n ${quoted(place)} -a ${verb} -d ${quoted(summary)}`,
      ...options.flatMap(([flags, text]) =>
        longFlags(flags).map((flag) => {
          const value = flags.includes('<') ? ' -r' : '';
          return `complete -c countersign -n ${quoted(seen(parts))} -l ${flag.slice(2)}${value} -d ${quoted(text)}`;
        }),
      ),
    ];
  });
  const groups = [...new Set(commands.flatMap(({ name }) => name.split(' ').slice(0, -1)))];
  return [
    '# Completions of countersign. In ~/.config/fish/config.fish: countersign completion fish | source',
    ...groups.map((group) => `complete -c countersign -f -n __fish_use_subcommand -a ${group}`),
    ...lines,
    '',
  ].join('\n');
}

function seen(parts: readonly string[]): string {
  return parts.map((part) => `__fish_seen_subcommand_from ${part}`).join('; and ');
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

const EVERYWHERE = ['--json', '--config', '--help'];
