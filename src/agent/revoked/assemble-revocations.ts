import type { Attachment } from '../attach/attachment.ts';
import type { JwtCache } from '../cache/jwt-cache.ts';
import type { SvidCache } from '../cache/svid-cache.ts';
import { AgentError } from '../errors.ts';
import type { SyncLoop } from '../sync/sync-loop.ts';
import { createRevocationFollower, type FollowerDeps, type RevocationFollower } from './follow-revocations.ts';
import type { OpenWorks } from './open-work.ts';
import type { Revoked } from './revoked.ts';

/** How far an agent knows who is revoked. */
export interface RevocationHealth {
  ageMs(): number;
  problem(): { readonly error: unknown; readonly forMs: number } | undefined;
  keepProblem(): unknown;
}

/** What the server is asked all the time, begun and ended together. */
export function followTogether(
  sync: SyncLoop,
  revocations: RevocationFollower,
): Pick<SyncLoop, 'start' | 'stop' | 'pause' | 'resume'> {
  return {
    async start(signal) {
      await revocations.begin();
      await sync.start(signal);
    },
    async stop() {
      await sync.stop();
      await revocations.pause();
    },
    async pause() {
      await sync.pause();
      await revocations.pause();
    },
    resume() {
      void revocations.begin();
      sync.resume();
    },
  };
}

/** Who is revoked gets nothing any more, and what he has open ends. */
export function assembleRevocations(
  deps: Omit<FollowerDeps, 'link' | 'isAttested' | 'bundle' | 'inEffect'>,
  parts: Pick<FollowerDeps, 'link'> & {
    readonly attachment: Pick<Attachment, 'identity'>;
    readonly cache: Pick<SvidCache, 'dropRevoked' | 'entries' | 'publish' | 'bundle'>;
    readonly jwts: Pick<JwtCache, 'forget'>;
    readonly revoked: Revoked;
    readonly open: OpenWorks;
    readonly fail: (error: AgentError) => Promise<void>;
  },
): RevocationFollower & RevocationHealth {
  const { clock, config, known } = deps;
  const { attachment, cache, jwts, link, revoked, open, fail } = parts;
  known.onChange(() => {
    cache.dropRevoked();
    const gone = new Set(
      Array.from(cache.entries().values()).flatMap((one) => (revoked.entry(one) ? [one.spiffeId.uri] : [])),
    );
    if (gone.size > 0) jwts.forget((uri) => gone.has(uri));
    cache.publish();
    open.look();
    // That it is in effect is said before the identity is forgotten by which the server is reached.
    if (revoked.node()) clock.after(LAST_WORD_MS, () => void (revoked.node() && fail(nodeRevoked())));
  });
  const follower = createRevocationFollower({
    ...{ ...deps, link, inEffect: () => open.over() },
    isAttested: () => attachment.identity() !== undefined,
    bundle: () => cache.bundle(config.trustDomain),
  });
  return { ...follower, ageMs: () => known.ageMs() };
}

function nodeRevoked(): AgentError {
  return new AgentError('ERR_AGENT_REVOKED', 'the node is revoked: nothing that comes through this agent counts');
}

/** For saying that it is in effect that this node is revoked. */
const LAST_WORD_MS = 2_000;
