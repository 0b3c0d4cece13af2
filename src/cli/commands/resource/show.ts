import { Control } from '@countersign/sdk/contract';
import { stringify } from 'yaml';
import { Code, RpcError } from '../../../rpc/index.ts';
import { argument, type CliCommand, exitCodes } from '../../command.ts';
import { withServer } from '../../connections/server-client.ts';
import { CALL_TIMEOUT_MS, serverOptions } from '../../connections/server-options.ts';
import { kindNamed, specOf } from '../../declared/specs.ts';

export const command: CliCommand = {
  summary: 'Show one resource as it was declared, ready for a file; secrets appear as references only.',
  arguments: '<kind> <name>',
  options: serverOptions,
  verbatim: true,
  examples: ['countersign resource show target orders', 'countersign resource show policy reports'],
  async run(context, input) {
    const kind = kindNamed(argument(input, 0, 'the kind'));
    const name = argument(input, 1, 'the name of the resource');
    const { resources } = await withServer(context, input, (client) =>
      client.unary(Control.method.listResources, { kind }, { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS }),
    );
    const found = resources.find((resource) => resource.name === name);
    if (!found)
      throw new RpcError(
        Code.NOT_FOUND,
        `there is no ${kind} ${name}; \`countersign resource list ${kind.toLowerCase()}\` shows all`,
      );
    const declared = { kind, name, spec: specOf(found.specJson) };
    context.emit(declared, () => stringify(declared).trimEnd());
    return exitCodes.ok;
  },
};
