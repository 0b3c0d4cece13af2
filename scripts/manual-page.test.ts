import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { commands } from '../src/cli/commands.generated.ts';
import { manualPage } from './manual-page.ts';

const page = manualPage(commands);
const hasMan = spawnSync('man', ['--version']).status === 0;

it('the manual page says of every command what it does, what it takes, and shows one', () => {
  for (const { name, summary } of commands) {
    expect(page).toContain(`.SS countersign ${name.replaceAll('-', '\\-')}`);
    expect(page).toContain(summary.replaceAll('-', '\\-'));
  }
});

it.skipIf(!hasMan).each(['C', 'C.UTF-8'])(
  'man shows it in 80 columns, without a warning, where the locale is %s',
  (locale) => {
    const { stdout, stderr } = spawnSync('man', ['--warnings', '-l', '-'], {
      ...{ input: page, encoding: 'utf8', env: { ...process.env, LC_ALL: locale, MANWIDTH: '80', MANPAGER: 'cat' } },
    });
    expect(stderr).toBe('');
    // Man writes bold as a letter over itself.
    const lines = stdout.replaceAll(/.\x08/g, '').split('\n');
    expect(lines.filter((line) => [...line].length > 80)).toEqual([]);
    expect(lines.join('\n')).toMatch(/countersign ledger prove <sequence>\n.*Make\s+a\s+proof/);
  },
);
