import type { NodeUpdate } from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import type { TargetView } from '../../model/index.ts';
import { Code, RpcError } from '../../rpc/index.ts';
import { type Clock, type FollowingAbort, followAbort, type Log, messageOf } from '../../std/index.ts';
import type { ServerLink } from '../attach/server-link.ts';

/** The server's push stream: says when to sync, and which targets to offer. */
export interface Watch {
  /** True while the stream is open and has spoken: polling is then only a safety net. */
  live(): boolean;
  /** For how long it has not been live; undefined while it is, before it was first opened, and with a server that has no push. */
  lostForMs(): number | undefined;
  /** Opens the stream when it is not open. */
  ensure(signal: AbortSignal): void;
  /** Closes the stream, so that the next one is opened with the newest identity. */
  restart(): void;
}

/** Creates a {@link Watch}. `onLost` is called when an open stream ended: something may have been missed. */
export function createWatch(deps: {
  clock: Clock;
  log: Log;
  link: Pick<ServerLink, 'watchNode'>;
  onChange: () => void;
  onTargets: (targets: readonly TargetView[]) => void;
  onLost: () => void;
}): Watch {
  const { log } = deps;
  let open: FollowingAbort | undefined;
  let live = false;
  /** Monotonic. */
  let lostSinceMs: number | undefined;
  let notBeforeMs = Number.NEGATIVE_INFINITY;

  const run = async (controller: FollowingAbort) => {
    let last: NodeUpdate | undefined;
    try {
      for await (const update of deps.link.watchNode(controller.signal)) {
        // The first message comes at once and may tell of what happened between the last sync and this stream.
        const changed =
          last?.entriesRevision !== update.entriesRevision || last?.bundleSequence !== update.bundleSequence;
        live = true;
        lostSinceMs = undefined;
        last = update;
        deps.onTargets(update.targets.map(toTargetView));
        if (changed) deps.onChange();
      }
    } catch (error) {
      if (controller.signal.aborted) return;
      const polling = error instanceof RpcError && error.code === Code.UNIMPLEMENTED;
      if (polling) lostSinceMs = undefined;
      if (polling) notBeforeMs = deps.clock.monotonicMs() + UNIMPLEMENTED_PAUSE_MS;
      log.debug('agent.watch.ended', { problem: messageOf(error), polling });
    } finally {
      const { aborted } = controller.signal;
      // The stream is over: this only takes its listener off the agent's own signal, which lives on.
      controller.abort();
      if (open === controller) {
        open = undefined;
        const lost = live;
        live = false;
        if (lost && !aborted) deps.onLost();
      }
    }
  };

  return {
    live: () => live,
    lostForMs: () => (lostSinceMs === undefined ? undefined : deps.clock.monotonicMs() - lostSinceMs),
    ensure(signal) {
      if (open || signal.aborted || deps.clock.monotonicMs() < notBeforeMs) return;
      const controller = followAbort(signal);
      open = controller;
      lostSinceMs ??= deps.clock.monotonicMs();
      void run(controller);
    },
    restart() {
      const old = open;
      open = undefined;
      live = false;
      old?.abort();
    },
  };
}

function toTargetView(target: NodeUpdate['targets'][number]): TargetView {
  return {
    name: target.name,
    protocol: target.protocol,
    gateways: target.gateways.map(({ address, spiffeId }) => ({ address, spiffeId })),
    hosts: target.hosts,
  };
}

/** A server that has no push is asked again only in case it was replaced by one that has. */
const UNIMPLEMENTED_PAUSE_MS = 600_000;
