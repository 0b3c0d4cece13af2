import { parseSpiffeId, type SpiffeId, spiffeIdOf, type TrustDomain } from '@countersign/sdk/identity';
import { type Clock, type Random, sha256 } from '../../std/index.ts';
import type { Store } from '../../store/index.ts';
import { AttestationError } from '../errors.ts';
import type { AttestationTables } from './migrations.ts';

/** Tokens by which nodes may join. */
export interface JoinTokens {
  /**
   * Makes a join token, random unless given; `agentId` is an alias that entries may hang under. Only its hash is kept.
   * @throws AttestationError ERR_NODE_REQUEST (ttl, a token that is no path segment or is taken)
   */
  createJoinToken(request: {
    ttlS: number;
    token?: string;
    agentId?: SpiffeId;
  }): Promise<{ token: string; expiresAtS: number }>;
  /** Uses a token up: of two that try at once, one gets it. Undefined when it is unknown, used or expired. */
  consumeJoinToken(token: string): Promise<{ readonly agentId: SpiffeId | undefined } | undefined>;
}

/** Creates the keeper of join tokens. */
export function createJoinTokens(deps: {
  store: Store;
  clock: Clock;
  random: Random;
  trustDomain: TrustDomain;
}): JoinTokens {
  const db = () => deps.store.db<AttestationTables>();
  const nowS = () => Math.floor(deps.clock.now() / 1000);
  return {
    async createJoinToken({ ttlS, token = deps.random.bytes(TOKEN_BYTES).toString('hex'), agentId }) {
      if (!Number.isSafeInteger(ttlS) || ttlS < 1 || ttlS > TOKEN_TTL_S_MAX) {
        throw new AttestationError('ERR_NODE_REQUEST', `ttl is ${ttlS} s, allowed are 1 to ${TOKEN_TTL_S_MAX}`);
      }
      checkToken(token, deps.trustDomain);
      await db().deleteFrom('attestation_tokens').where('expires_at_s', '<=', nowS()).execute();
      const row = { token_hash: hashOf(token), expires_at_s: nowS() + ttlS, agent_id: agentId?.uri ?? '' };
      const inserted = await db()
        .insertInto('attestation_tokens')
        .values(row)
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst();
      if (inserted.numInsertedOrUpdatedRows !== 1n)
        throw new AttestationError('ERR_NODE_REQUEST', 'that token exists already');
      return { token, expiresAtS: row.expires_at_s };
    },
    async consumeJoinToken(token) {
      // One statement: of two that show one token, one deletes it.
      const row = await db()
        .deleteFrom('attestation_tokens')
        .where('token_hash', '=', hashOf(token))
        .returningAll()
        .executeTakeFirst();
      if (!row || row.expires_at_s <= nowS()) return undefined;
      return { agentId: row.agent_id === '' ? undefined : parseSpiffeId(row.agent_id) };
    },
  };
}

function checkToken(token: string, trustDomain: TrustDomain): void {
  const problem = `a token is one path segment of at most ${TOKEN_CHARS_MAX} characters`;
  if (token === '' || token.includes('/') || token.length > TOKEN_CHARS_MAX)
    throw new AttestationError('ERR_NODE_REQUEST', problem);
  try {
    spiffeIdOf(trustDomain, `/spire/agent/join_token/${token}`);
  } catch (cause) {
    throw new AttestationError('ERR_NODE_REQUEST', problem, { cause });
  }
}

function hashOf(token: string): string {
  return sha256(Buffer.from(token, 'utf8')).toString('hex');
}

const TOKEN_BYTES = 16;
const TOKEN_CHARS_MAX = 255;
/** A token that waits longer than a month has been forgotten somewhere. */
const TOKEN_TTL_S_MAX = 31 * 86_400;
