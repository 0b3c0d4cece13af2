import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { commands } from '../commands.generated.ts';
import { completionScript, shells } from './completion-script.ts';

const has = (shell: string) => spawnSync(shell, ['-c', 'true']).status === 0;

/** What bash offers behind these words, the last of which is being typed. */
function offered(...words: string[]): string[] {
  const script = `${completionScript('bash', commands)}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _countersign; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr, status } = spawnSync('bash', ['--norc', '-u', '-c', script, 'bash', ...words], {
    encoding: 'utf8',
  });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  return stdout.trim().split('\n');
}

describe('bash', () => {
  it('offers commands and groups first, and what a group can do behind it', () => {
    expect(offered('countersign', '')).toEqual(expect.arrayContaining(['apply', 'ledger', '--config', '--version']));
    expect(offered('countersign', 'led')).toEqual(['ledger']);
    const verbs = commands.flatMap(({ name }) => (name.startsWith('ledger ') ? [name.slice(7)] : []));
    expect(offered('countersign', 'ledger', '')).toEqual(verbs);
    expect(offered('countersign', 'ledger', 't')).toEqual(['tail']);
  });

  it('offers the options of a command, behind its arguments and those of all too', () => {
    expect(offered('countersign', 'ledger', 'tail', '--f')).toEqual(['--follow']);
    expect(offered('countersign', 'entry', 'create', '--x5')).toEqual(['--x509-ttl']);
    expect(offered('countersign', 'target', 'show', 'shop', '--s')).toEqual(['--socket', '--server']);
    expect(offered('countersign', '--config', 'a.yaml', 'ledger', 'v')).toEqual(['verify']);
  });

  it('leaves a word that is no command to file names', () => {
    expect(offered('countersign', 'policy', 'check', 'exam')).toEqual(['']);
    expect(completionScript('bash', commands)).toContain('complete -o default -F _countersign countersign');
  });
});

it('fish is told of every command with what it does, and of options that want a value', () => {
  const script = completionScript('fish', [
    {
      name: 'ledger tail',
      summary: "Show the ledger's end.",
      options: [['-n, --lines <count>', 'how many']],
      examples: [],
    },
    { name: 'apply', summary: 'Make it true.', options: [['--yes', 'do not ask']], examples: [] },
  ]);
  expect(script.split('\n').slice(1, -1)).toEqual([
    'complete -c countersign -f -n __fish_use_subcommand -a ledger',
    "complete -c countersign -f -n '__fish_seen_subcommand_from ledger; and not __fish_seen_subcommand_from tail' -a tail -d 'Show the ledger\\'s end.'",
    "complete -c countersign -n '__fish_seen_subcommand_from ledger; and __fish_seen_subcommand_from tail' -l lines -r -d 'how many'",
    "complete -c countersign -f -n '__fish_use_subcommand' -a apply -d 'Make it true.'",
    "complete -c countersign -n '__fish_seen_subcommand_from apply' -l yes -d 'do not ask'",
  ]);
});

it.each(shells.filter(has))('%s takes its script', (shell) => {
  const { stderr, status } = spawnSync(shell, ['-n'], { input: completionScript(shell, commands), encoding: 'utf8' });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
});
