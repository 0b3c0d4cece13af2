import { Entry } from '@countersign/sdk/contract';
import { argument, type CliCommand, exitCodes } from '../../command.ts';
import { CALL_TIMEOUT_MS, serverOptions, withServer } from '../../connections/server-client.ts';
import { entryValue, formatEntry } from '../../entries/entry-text.ts';

export const command: CliCommand = {
  summary: 'Show one registration entry.',
  arguments: '<id>',
  options: serverOptions,
  examples: ['countersign entry show web'],
  async run(context, input) {
    const entry = await withServer(context, input, (client) =>
      client.unary(
        Entry.method.getEntry,
        { id: argument(input, 0, 'the id of the entry') },
        { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS },
      ),
    );
    context.emit(entryValue(entry), () => formatEntry(entry, context.columns));
    return exitCodes.ok;
  },
};
