import type { CliCommand } from '../command.ts';
import { revoke, revokeOptions } from '../revocations/revoke.ts';
import { subjectOptions } from '../revocations/subject-options.ts';

export const command: CliCommand = {
  summary: 'Quarantine: new sessions are refused, but for what is allowed; taken back at any time.',
  options: [
    ...subjectOptions,
    ['--allow <action...>', 'actions of policies that go on: postgres:select'],
    ...revokeOptions,
  ],
  examples: [
    'countersign quarantine --who /shop/web --reason "odd queries"',
    'countersign quarantine --who /shop/web --allow postgres:select --keep-running --yes',
  ],
  run: (context, input) => revoke(context, input, 'quarantined'),
};
