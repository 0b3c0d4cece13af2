import { Entry } from '@countersign/sdk/contract';
import { type CliCommand, exitCodes, UsageError } from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../../connections/server-options.ts';

export const command: CliCommand = {
  summary: 'Delete registration entries; their identities are no longer given or renewed.',
  arguments: '<id...>',
  options: serverOptions,
  examples: ['countersign entry delete web'],
  async run(context, input) {
    if (input.args.length === 0) throw new UsageError('the id of the entry is missing');
    const { results } = await withServer(context, input, (client) =>
      client.unary(
        Entry.method.batchDeleteEntry,
        { ids: [...input.args] },
        { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS },
      ),
    );
    const value = results.map((result) => ({
      id: result.id,
      deleted: result.status?.code === 0,
      message: result.status?.message ?? '',
    }));
    context.emit(value, () =>
      value.map(({ id, deleted, message }) => (deleted ? `deleted ${id}` : `${id}: ${message}`)).join('\n'),
    );
    return value.every(({ deleted }) => deleted) ? exitCodes.ok : exitCodes.no;
  },
};
