import type { CliCommand } from '../../command.ts';
import { revoke, revokeOptions } from '../../revocations/revoke.ts';
import { subjectOptions } from '../../revocations/subject-options.ts';

export const command: CliCommand = {
  summary: 'Revoke: nothing is signed for it any more, no credential of it counts, its sessions end.',
  options: [...subjectOptions, ...revokeOptions],
  examples: [
    'countersign revocation add --who /shop/web --reason "leaked key"',
    'countersign revocation add --node spiffe://corp.example/spire/agent/join_token/9f2c --yes',
    'countersign revocation add --label team=red --yes',
  ],
  run: (context, input) => revoke(context, input, 'revoked'),
};
