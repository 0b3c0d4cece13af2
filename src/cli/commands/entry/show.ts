import { Entry } from '@countersign/sdk/contract';
import { argument, type CliCommand, exitCodes } from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../../connections/server-options.ts';
import { entryAttributes } from '../../entries/entry-attributes.ts';
import { entryValue, formatEntry } from '../../entries/entry-text.ts';

export const command: CliCommand = {
  summary: 'Show one registration entry.',
  arguments: '<id>',
  options: serverOptions,
  examples: ['countersign entry show web'],
  async run(context, input) {
    const id = argument(input, 0, 'the id of the entry');
    const options = { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS };
    const value = await withServer(context, input, async (client) => {
      const entry = await client.unary(Entry.method.getEntry, { id }, options);
      return entryValue(entry, (await entryAttributes(client, [id], options)).get(id));
    });
    context.emit(value, () => formatEntry(value, context.columns));
    return exitCodes.ok;
  },
};
