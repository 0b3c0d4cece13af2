import { Control } from '@countersign/sdk/contract';
import { argument, type CliCommand, exitCodes } from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../../connections/server-options.ts';
import { kindNamed, specOf } from '../../declared/specs.ts';
import { formatList } from '../../terminal/table.ts';

export const command: CliCommand = {
  summary: 'List what is declared: of one kind, or of all.',
  arguments: '[kind]',
  options: serverOptions,
  examples: ['countersign resource list', 'countersign resource list policy --json'],
  async run(context, input) {
    const kind = input.args.length === 0 ? '' : kindNamed(argument(input, 0, 'the kind'));
    const { resources } = await withServer(context, input, (client) =>
      client.unary(Control.method.listResources, { kind }, { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS }),
    );
    const declared = resources.map(({ specJson, ...one }) => ({
      ...{ kind: one.kind, name: one.name },
      spec: specOf(specJson),
    }));
    context.emit(declared, () =>
      declared.length === 0
        ? 'Nothing of it is declared. Declare it in a file and run `countersign apply -f FILE`.'
        : formatList(
            ['kind', 'name'],
            declared.map((one) => [one.kind, one.name]),
            context.columns,
          ),
    );
    return exitCodes.ok;
  },
};
