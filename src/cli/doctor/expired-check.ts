import { expiredPolicies } from '../../policy/index.ts';
import { createRpcClient } from '../../rpc/index.ts';
import { createSilentLog } from '../../std/index.ts';
import type { CliContext } from '../command.ts';
import { policiesInForce } from '../policy/policies-at-server.ts';
import type { Check } from './check.ts';

/** Permits in force that have expired; nothing when there are none, or the server can't be asked, which another check tells. */
export async function checkExpired(
  { clock, signal }: Pick<CliContext, 'clock' | 'signal'>,
  socket: string,
): Promise<Check[]> {
  const client = createRpcClient({ clock, log: createSilentLog(), connect: { unix: socket } });
  try {
    const { compiled } = await policiesInForce(client, { signal, timeoutMs: TIMEOUT_MS }, '@expires');
    const expired = expiredPolicies(compiled, clock.now());
    if (expired.length === 0) return [];
    const named = expired.slice(0, NAMED_MAX).map(({ policy }) => policy);
    const more = expired.length > NAMED_MAX ? ', …' : '';
    const found = `${expired.length} expired, so that they allow nothing: ${named.join(', ')}${more}`;
    return [
      {
        what: 'policies',
        state: 'odd',
        found,
        remedy:
          'take them out of their files and apply these, with --prune for whole files; what `policy grant` made ends by `policy delete`',
      },
    ];
  } catch {
    return []; // Whoever may not ask the server is told so by the check of the server itself.
  } finally {
    await client.close();
  }
}

const TIMEOUT_MS = 3000;
const NAMED_MAX = 10;
