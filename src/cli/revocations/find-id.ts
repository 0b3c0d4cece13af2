import type { ApiClient } from '@countersign/sdk/client';
import { argument, type CliInput, UsageError } from '../command.ts';

/** The id that begins with what is given. @throws UsageError; ApiProblem */
export async function revocationId(client: ApiClient, input: CliInput, signal: AbortSignal): Promise<string> {
  const given = argument(input, 0, 'the id of the revocation, or its first digits');
  if (!/^[0-9a-f]{4,32}$/.test(given))
    throw new UsageError(`${given} is no id of a revocation, nor four digits or more that it begins with`);
  if (given.length === 32) return given;
  const { output } = await client.call('revocation.list', {}, { signal });
  const [one, another] = output.revocations.filter(({ id }) => id.startsWith(given));
  if (another !== undefined) throw new UsageError(`several revocations begin with ${given}; give more of the id`);
  if (one === undefined) throw new UsageError(`no revocation ${given} stands: \`countersign revocation list\``);
  return one.id;
}
