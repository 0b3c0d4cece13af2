import { join } from 'node:path';
import {
  createKeptRevocations,
  createRevocationWatch,
  type KnownRevocations,
  type RevocationWatch,
} from '../../known-revocations/index.ts';
import type { Bundle } from '../../model/index.ts';
import { Code, RpcError } from '../../rpc/index.ts';
import { type Clock, type Log, type Random, sleep } from '../../std/index.ts';
import type { ServerLink } from '../attach/server-link.ts';
import type { AgentConfig } from '../config.ts';
import type { Sealer } from '../sealed-json.ts';

/** The server's feed of revocations, followed while the data folder is this agent's. */
export interface RevocationFollower {
  /** What was kept is in force from then on. */
  restore(): Promise<void>;
  begin(): Promise<void>;
  /** The folder is left alone until the next `begin`. */
  pause(): Promise<void>;
  problem(): ReturnType<RevocationWatch['problem']>;
  keepProblem(): unknown;
}

/** Creates it. */
export function createRevocationFollower(deps: {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly config: Pick<AgentConfig, 'dataDir' | 'trustDomain'>;
  readonly sealer: Sealer;
  readonly known: KnownRevocations;
  readonly link: Pick<ServerLink, 'watchRevocations' | 'acknowledgeRevocations'>;
  readonly isAttested: () => boolean;
  readonly bundle: () => Bundle | undefined;
  readonly inEffect: (signal: AbortSignal) => Promise<void>;
}): RevocationFollower {
  const { clock, random, log, config, sealer, known, link, isAttested, bundle, inEffect } = deps;
  const kept = createKeptRevocations({ path: join(config.dataDir, FILE), sealer, random });
  let watch: RevocationWatch | undefined;
  return {
    async restore() {
      const before = await kept.read().catch((error: unknown) => {
        log.error('revocations.unreadable', { error });
        return undefined;
      });
      if (before !== undefined && known.state === undefined) known.take(before, undefined);
    },
    async begin() {
      watch ??= createRevocationWatch({
        ...{ clock, random, log, known, kept, inEffect, trustDomain: config.trustDomain },
        authorities: () => bundle()?.jwtAuthorities,
        isUnsupported: (error) => error instanceof RpcError && error.code === Code.UNIMPLEMENTED,
        open: link.watchRevocations,
        acknowledge: link.acknowledgeRevocations,
        async ready(signal) {
          while (!isAttested() || bundle() === undefined) await sleep(clock, LOOK_EVERY_MS, signal);
        },
      });
      await watch.start(new AbortController().signal);
    },
    async pause() {
      const paused = watch;
      watch = undefined;
      await paused?.stop();
    },
    problem: () => watch?.problem(),
    keepProblem: () => watch?.keepProblem(),
  };
}

const FILE = 'revocations.sealed';
/** Until the node is attested nothing can be asked. */
const LOOK_EVERY_MS = 200;
