import { AuthorityError } from '../errors.ts';
import type { JournalRow } from '../journal.ts';
import type { StepContext } from './rotation-steps.ts';

/**
 * Looks, before anything is made or destroyed, whether keystore and store belong together. Agents and gateways know a server by its X.509
 * authority: made anew in silence, they would find a stranger, and a store that lost its data would have them throw their identities away.
 * @returns authorities whose keys are lost, where it may go on without them: another server's authority tells agents of the new one, the
 * operator said so, or the keystore is one that forgets
 * @throws AuthorityError ERR_AUTHORITY_KEYS_LOST, ERR_AUTHORITY_STORE_LOST
 */
export function checkLoss(context: StepContext, sequence: number): readonly JournalRow[] {
  const { deps, rows } = context;
  const { keystore, options } = deps;
  const ownKeys = keystore
    .list()
    .filter((keyId) => KINDS.some((kind) => keyId.startsWith(`${kind}.${options.serverId}.`)));
  // The one key that a crash in the very first step leaves is of X.509.
  if (sequence === 0 && ownKeys.some((keyId) => !keyId.startsWith('x509.')) && options.acceptLoss !== true) {
    throw new AuthorityError(
      'ERR_AUTHORITY_STORE_LOST',
      `the keystore holds ${ownKeys.length} keys of server ${options.serverId}, and the store has never heard of an authority`,
    );
  }
  const lost = lostAuthority(context);
  if (lost === undefined) return [];
  const others = rows.some((row) => row.serverId !== options.serverId && row.kind === 'x509' && isActive(row, context));
  if (keystore.forgets !== true && options.acceptLoss !== true && !others) {
    const known = new Set(rows.map(({ keyId }) => keyId));
    const unknown = ownKeys.filter((keyId) => !known.has(keyId));
    throw new AuthorityError(
      'ERR_AUTHORITY_KEYS_LOST',
      unknown.length === 0
        ? `the keystore has no key of the authority ${lost.id}, which agents know server ${options.serverId} by`
        : `the keystore has no key of the authority ${lost.id}, by which the store knows server ${options.serverId}, but ${unknown.length} keys that the store does not know: the store is older than the keystore`,
    );
  }
  deps.log.warn('authority.keys.lost', { authority: lost.id, expiresAtS: lost.expiresAtS });
  return [lost];
}

/** The X.509 authority that signs, without its key; nothing is lost while the next one is published already and can take over. */
function lostAuthority(context: StepContext): JournalRow | undefined {
  const { deps, rows } = context;
  const own = rows.filter((row) => row.kind === 'x509' && row.serverId === deps.options.serverId);
  const hasKey = (row: JournalRow) => deps.keystore.find(row.keyId) !== undefined;
  if (own.some((row) => row.state === 'prepared' && hasKey(row))) return undefined;
  return own.find((row) => isActive(row, context) && !hasKey(row));
}

function isActive({ state, expiresAtS }: JournalRow, { timeline }: StepContext): boolean {
  return state === 'active' && timeline.latestMs() < expiresAtS * 1000;
}

const KINDS = ['x509', 'jwt'] as const;
