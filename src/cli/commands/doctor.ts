import { ConfigError } from '../../config/index.ts';
import { type CliCommand, type CliContext, exitCodes } from '../command.ts';
import type { Check } from '../doctor/check.ts';
import { runChecks } from '../doctor/run-checks.ts';
import { loadConfigIfAny } from '../load-config.ts';
import { formatTable, wrap } from '../terminal/table.ts';

export const command: CliCommand = {
  summary: 'Look at this machine and say what is wrong and what to do about it.',
  examples: ['countersign doctor', 'countersign doctor --json'],
  async run(context) {
    const checks = await checksOf(context);
    const broken = checks.filter(({ state }) => state === 'wrong');
    context.emit({ ok: broken.length === 0, checks }, () => {
      const list = formatTable(
        ['', 'what', 'found'],
        checks.map(({ state, what, found }) => [SIGNS[state], what, found]),
        context.columns,
      );
      const todo = new Set(checks.flatMap(({ what, remedy }) => (remedy === undefined ? [] : [`${what}: ${remedy}`])));
      if (todo.size === 0) return list;
      const lines = Array.from(todo, (line) => `  ${wrap(line, { columns: context.columns, indent: 4 })}`);
      return `${list}\n\nWhat to do\n${lines.join('\n')}`;
    });
    return broken.length === 0 ? exitCodes.ok : exitCodes.no;
  },
};

/** A configuration that can't be used is a finding like any other. */
async function checksOf(context: CliContext): Promise<Check[]> {
  try {
    return await runChecks(context, loadConfigIfAny(context));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const remedy =
      error.code === 'ERR_CONFIG_FILE'
        ? 'do as it says, or name another file with --config'
        : 'docs/reference/config.md lists every key';
    const others = (await runChecks(context, undefined)).filter(({ what }) => what !== 'configuration');
    return [...others, { what: 'configuration', state: 'wrong', found: error.message, remedy }];
  }
}

const SIGNS = { good: 'ok', odd: '?', wrong: 'XX' } as const;
