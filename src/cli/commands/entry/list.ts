import { Entry } from '@countersign/sdk/contract';
import type { Entry as EntryMessage } from '@countersign/sdk/contract/gen/spire/api/types/entry_pb.ts';
import { type CliCommand, exitCodes, textOption } from '../../command.ts';
import { CALL_TIMEOUT_MS, serverOptions, withServer } from '../../connections/server-client.ts';
import { entryValue, formatEntries, idMessage } from '../../entries/entry-text.ts';

export const command: CliCommand = {
  summary: 'List registration entries.',
  options: [
    ['--spiffe-id <id>', 'only those that give this identity'],
    ['--parent-id <id>', 'only those under this parent'],
    ...serverOptions,
  ],
  examples: ['countersign entry list', 'countersign entry list --spiffe-id spiffe://example.org/web --json'],
  async run(context, input) {
    const [bySpiffeId, byParentId] = [textOption(input, 'spiffeId'), textOption(input, 'parentId')];
    const filter = {
      ...(bySpiffeId ? { bySpiffeId: idMessage(bySpiffeId) } : {}),
      ...(byParentId ? { byParentId: idMessage(byParentId) } : {}),
    };
    const entries: EntryMessage[] = [];
    await withServer(context, input, async (client) => {
      let pageToken = '';
      do {
        const page = await client.unary(
          Entry.method.listEntries,
          { filter, pageSize: PAGE, pageToken },
          { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS },
        );
        entries.push(...page.entries);
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
    });
    context.emit(entries.map(entryValue), () =>
      entries.length === 0
        ? 'There are no entries. Create one with `countersign entry create` or `countersign apply`.'
        : formatEntries(entries, context.columns),
    );
    return exitCodes.ok;
  },
};

const PAGE = 500;
