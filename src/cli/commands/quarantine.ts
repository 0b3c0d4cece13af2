import type { CliCommand } from '../command.ts';
import { restOptions } from '../connections/with-rest.ts';
import { revoke } from '../revocations/revoke.ts';
import { subjectOptions } from '../revocations/subject-options.ts';

export const command: CliCommand = {
  summary: 'Quarantine: new sessions are refused, but for what is allowed; taken back at any time.',
  options: [
    ...subjectOptions,
    ['--allow <action...>', 'actions of policies that go on: postgres:select'],
    ['--keep-running', 'leave sessions that run alone'],
    ['--reason <text>', 'why, for the ledgers'],
    ['--wait <seconds>', 'how long to wait for agents and gateways that are connected (default: 10)'],
    ['--yes', 'do not ask before acting'],
    ...restOptions,
  ],
  examples: [
    'countersign quarantine --who /shop/web --reason "odd queries"',
    'countersign quarantine --who /shop/web --allow postgres:select --keep-running --yes',
  ],
  run: (context, input) => revoke(context, input, 'quarantined'),
};
