import { Control } from '@countersign/sdk/contract';
import { stringify } from 'yaml';
import { Code, RpcError } from '../../../rpc/index.ts';
import { argument, type CliCommand, exitCodes } from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../../connections/server-options.ts';
import { specOf } from '../../declared/specs.ts';

export const command: CliCommand = {
  summary: 'Show one target as it was declared; secrets appear as references only.',
  arguments: '<name>',
  options: serverOptions,
  verbatim: true,
  examples: ['countersign target show orders'],
  async run(context, input) {
    const name = argument(input, 0, 'the name of the target');
    const { resources } = await withServer(context, input, (client) =>
      client.unary(
        Control.method.listResources,
        { kind: 'Target' },
        { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS },
      ),
    );
    const found = resources.find((resource) => resource.name === name);
    if (!found) throw new RpcError(Code.NOT_FOUND, `there is no target ${name}; \`countersign target list\` shows all`);
    const declared = { kind: 'Target', name, spec: specOf(found.specJson) };
    context.emit(declared, () => stringify(declared).trimEnd());
    return exitCodes.ok;
  },
};
