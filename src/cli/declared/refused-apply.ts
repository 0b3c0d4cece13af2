import { Code, RpcError } from '../../rpc/index.ts';

/**
 * The server's refusal of what was declared, with the file in each line that speaks of a resource by its name: the server has never seen
 * the file. `fileOf` is by `kind/name`, and says where lines and columns that follow the name are counted. What else fails stays as it is.
 */
export function withFiles(error: unknown, fileOf: (resource: string) => string | undefined): unknown {
  if (!(error instanceof RpcError) || error.code !== Code.INVALID_ARGUMENT) return error;
  const lines = error.message.split('\n').map((line) => {
    const [, resource = '', name = '', rest = ''] = RESOURCE_LINE.exec(line) ?? [];
    const file = fileOf(resource);
    if (file === undefined) return line;
    // What is said of a policy's text begins with the policy's name again, for a source.
    return rest.startsWith(`${name}:`) ? `${file}${rest.slice(name.length)}` : `${file}: ${resource}: ${rest}`;
  });
  return new RpcError(error.code, lines.join('\n'), { details: error.details, cause: error });
}

/** `Policy/shop: shop:11:1: error: …` */
const RESOURCE_LINE = /^([A-Z][a-z]+\/([^:]+)): (.*)$/s;
