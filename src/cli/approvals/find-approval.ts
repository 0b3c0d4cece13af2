import type { ApiClient } from '@countersign/sdk/client';
import { argument, type CliInput, textOption, UsageError } from '../command.ts';
import type { ListedApproval, ShownApproval } from './approval-text.ts';

/** Options of what is found by its id. */
export const findOptions = [
  ['--target <name>', 'at this target; for whoever may see those of one target alone'],
] as const;

/** The one whose id begins with what is given: of those that wait, else of those that are over. @throws UsageError; ApiProblem */
export async function findApproval(client: ApiClient, input: CliInput, signal: AbortSignal): Promise<ShownApproval> {
  const given = argument(input, 0, 'the id of the approval, or its first digits');
  if (!/^[0-9a-f]{4,32}$/.test(given))
    throw new UsageError(`${given} is no id of an approval, nor four digits or more that it begins with`);
  const asked = targetOf(input);
  const { target, id } =
    (await findAmong(client, { ...asked, over: false }, { given, signal })) ??
    (await findAmong(client, { ...asked, over: true }, { given, signal })) ??
    nothing(given);
  return (await client.call('approval.get', { target, id }, { signal })).output;
}

/** What narrows lists. */
export function targetOf(input: CliInput): { target?: string } {
  const target = textOption(input, 'target');
  return target === undefined ? {} : { target };
}

async function findAmong(
  client: ApiClient,
  asked: { readonly target?: string; readonly over: boolean },
  { given, signal }: { readonly given: string; readonly signal: AbortSignal },
): Promise<ListedApproval | undefined> {
  const found: ListedApproval[] = [];
  let cursor: string | undefined;
  do {
    const page = { ...asked, limit: PAGE, ...(cursor === undefined ? {} : { cursor }) };
    const { output } = await client.call('approval.list', page, { signal });
    found.push(...output.items.filter(({ id }) => id.startsWith(given)));
    cursor = output.next;
  } while (cursor !== undefined);
  const [one, another] = found;
  if (another !== undefined) throw new UsageError(`several approvals begin with ${given}; give more of the id`);
  return one;
}

function nothing(given: string): never {
  throw new UsageError(
    `no approval ${given} is there: \`countersign approval list\`; what stands for others in that list is found by its own id alone`,
  );
}

const PAGE = 1000;
