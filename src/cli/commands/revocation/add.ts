import type { CliCommand } from '../../command.ts';
import { restOptions } from '../../connections/with-rest.ts';
import { revoke } from '../../revocations/revoke.ts';
import { subjectOptions } from '../../revocations/subject-options.ts';

export const command: CliCommand = {
  summary: 'Revoke: nothing is signed for it any more, no credential of it counts, its sessions end.',
  options: [
    ...subjectOptions,
    ['--keep-running', 'leave sessions that run alone'],
    ['--reason <text>', 'why, for the ledgers'],
    ['--wait <seconds>', 'how long to wait for agents and gateways that are connected (default: 10)'],
    ['--yes', 'do not ask before acting'],
    ...restOptions,
  ],
  examples: [
    'countersign revocation add --who /shop/web --reason "leaked key"',
    'countersign revocation add --node spiffe://corp.example/spire/agent/join_token/9f2c --yes',
    'countersign revocation add --label team=red --yes',
  ],
  run: (context, input) => revoke(context, input, 'revoked'),
};
