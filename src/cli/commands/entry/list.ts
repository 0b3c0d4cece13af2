import { Entry } from '@countersign/sdk/contract';
import { type CliCommand, exitCodes, textOption } from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../../connections/server-options.ts';
import { entryAttributes } from '../../entries/entry-attributes.ts';
import { type EntryValue, entryValue, formatEntries, idMessage } from '../../entries/entry-text.ts';

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
    const options = { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS };
    const entries: EntryValue[] = [];
    await withServer(context, input, async (client) => {
      let pageToken = '';
      do {
        const page = await client.unary(Entry.method.listEntries, { filter, pageSize: PAGE, pageToken }, options);
        const said = await entryAttributes(
          client,
          page.entries.map(({ id }) => id),
          options,
        );
        entries.push(...page.entries.map((entry) => entryValue(entry, said.get(entry.id))));
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
    });
    context.emit(entries, () =>
      entries.length === 0
        ? 'There are no entries. Create one with `countersign entry create` or `countersign apply`.'
        : formatEntries(entries, context.columns),
    );
    return exitCodes.ok;
  },
};

const PAGE = 500;
