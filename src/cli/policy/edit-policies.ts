import { Control } from '@countersign/sdk/contract';
import type { PolicySource } from '../../policy/index.ts';
import { Code, type RpcClient, RpcError } from '../../rpc/index.ts';
import type { CliContext } from '../command.ts';
import { CALL_TIMEOUT_MS } from '../connections/server-options.ts';
import type { AskedPolicies } from './declared-policies.ts';
import { policiesAt } from './policies-at-server.ts';

/** What is to become of the texts of policies. */
export interface PolicyEdit {
  readonly put: readonly PolicySource[];
  readonly remove: readonly string[];
}

/** What became of a text, or would: as in a plan. */
export interface EditedPolicy {
  readonly name: string;
  readonly action: string;
  readonly differences: readonly string[];
}

/**
 * Does with the policies in force what `edit` makes of them, all of it or nothing. What others change at the same time is not undone: it is then
 * made anew, of what they left. @throws what `edit` throws; PolicyError, RpcError
 */
export async function editPolicies<T extends PolicyEdit>(
  client: RpcClient,
  { context, dryRun }: { readonly context: CliContext; readonly dryRun: boolean },
  edit: (present: AskedPolicies) => T | Promise<T>,
): Promise<{ readonly edit: T; readonly changes: readonly EditedPolicy[] }> {
  const options = { signal: context.signal, timeoutMs: CALL_TIMEOUT_MS };
  for (let attempt = 1; ; attempt++) {
    const present = await policiesAt(client, options);
    const made = await edit(present);
    const request = {
      dryRun,
      resources: made.put.map(({ name, text }) => ({
        kind: 'Policy',
        name,
        specJson: JSON.stringify({ cedar: text }),
      })),
      remove: made.remove.map((name) => ({ kind: 'Policy', name })),
      ifRevision: present.revision,
    };
    try {
      const { changes } = await client.unary(Control.method.apply, request, options);
      checkDone(made, changes);
      return { edit: made, changes };
    } catch (error) {
      const isLate = error instanceof RpcError && error.code === Code.FAILED_PRECONDITION;
      if (!isLate || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

/** A server that knows nothing of removing takes the request for one that removes nothing. */
function checkDone({ remove }: PolicyEdit, changes: readonly EditedPolicy[]): void {
  const gone = new Set(changes.flatMap(({ name, action }) => (action === 'delete' ? [name] : [])));
  if (remove.every((name) => gone.has(name))) return;
  throw new RpcError(Code.UNIMPLEMENTED, 'the server is of an older version, which deletes policies by --prune alone');
}

/** So many others in a row are a loop somewhere. */
const ATTEMPTS_MAX = 5;
