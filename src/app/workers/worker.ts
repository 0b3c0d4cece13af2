import { type Clock, createLog, type Log, type Random, type Timer } from '../../std/index.ts';
import { AppError } from '../errors.ts';
import { createGatewayApp, type GatewayRole } from '../gateway.ts';
import { createMetrics } from '../health/metrics.ts';
import { endWithParent, PARENT_GONE } from '../process/end-with-parent.ts';
import type { Role, RoleDeps } from '../role.ts';
import { VERSION } from '../version.ts';
import type { Channel, ToParent, ToWorker, WorkerPart } from './messages.ts';
import { createWorkerCompanions, wordFrom } from './worker-companions.ts';
import { WORKER } from './worker-process.ts';

/** The parent, of a process that is a worker of a gateway. */
export interface ParentChannel extends Channel<ToParent, ToWorker> {
  /** Lets go of it, so that this process may end by itself. */
  close(): void;
}

/** What a worker does with its command. */
export interface WorkerDeps extends Pick<RoleDeps<unknown>, 'env'> {
  readonly clock: Clock;
  readonly random: Random;
  /** Stops this process as a signal does. */
  stop(): void;
}

/**
 * The channel to the parent; undefined where this process is no worker. When the parent is gone this process ends at once.
 * @throws AppError ERR_APP_WORKER when it was gone before: this one would be a second gateway then, that nobody stops
 */
export function openParent(env: RoleDeps<unknown>['env'], own: NodeJS.Process = process): ParentChannel | undefined {
  if (env[WORKER] === undefined) return undefined;
  if (!own.connected)
    throw new AppError(
      'ERR_APP_WORKER',
      `${WORKER} is set, and the gateway whose worker this would be is not there; to start a gateway, unset it`,
    );
  const gone = () => own.exit(PARENT_GONE);
  own.once('disconnect', gone);
  return {
    send: (message) => void (own.connected && own.send?.(message, undefined, undefined, () => {})),
    // Only the parent, which is this program, has the other end.
    hear: (listener) => void own.on('message', (message) => listener(message as ToWorker)),
    close() {
      own.off('disconnect', gone);
      if (own.connected) own.disconnect();
    },
  };
}

/** Creates one of the processes that are one gateway, once its parent has said what it is. */
export async function createGatewayWorker(parent: ParentChannel, deps: WorkerDeps): Promise<Role> {
  // From the first moment on: a start that others have failed at is not waited for.
  parent.hear((message) => {
    if (message.kind === 'stop') deps.stop();
  });
  const { number, of, digestKeyIsNew, ...part } = await partFrom(parent);
  if (part.release !== VERSION)
    throw new AppError(
      'ERR_APP_WORKER',
      `this is countersign ${VERSION}, and the gateway that has started it is ${part.release}: restart the gateway`,
    );
  const { clock, random, env } = deps;
  // What answers for all of them is the parent's.
  const { http, ...config } = part.config;
  const log: Log = createLog({ level: part.logLevel }).child({ worker: number });
  endWithParent({ log, parent: part.parent });
  const others = Promise.withResolvers<number | undefined>();
  const role = await createGatewayApp(
    { trustDomain: part.trustDomain, config, env, clock, random, log },
    {
      ...{ number, of, digestKeyIsNew, companions: createWorkerCompanions(parent) },
      othersThan(told) {
        parent.send({ kind: 'left', others: told ?? null });
        return others.promise;
      },
    },
  );
  const metrics = http === undefined ? undefined : createMetrics(role.metrics);
  parent.hear((message) => {
    switch (message.kind) {
      case 'word':
        return role.gateway.hear(wordFrom(message.word));
      case 'metrics':
        return void metrics?.getMetricsAsJSON().then((all) => {
          parent.send({ kind: 'metrics', id: message.id, metrics: all });
        });
      case 'others':
        return others.resolve(message.others ?? undefined);
      case 'hurry':
        return role.hurry?.();
      case 'begin':
      case 'reply':
      case 'stop':
        return;
      default:
        return message satisfies never;
    }
  });
  return telling(role, { clock, parent });
}

/** Tells the parent how it is: that it runs, and once a second what is wrong. */
function telling(
  role: GatewayRole,
  { clock, parent }: { readonly clock: Clock; readonly parent: ParentChannel },
): Role {
  let timer: Timer | undefined;
  const tell = () => {
    parent.send({ kind: 'health', findings: role.conditions.findings() });
    timer = clock.after(TELL_EVERY_MS, tell);
  };
  return {
    ...role,
    async start(signal) {
      tell();
      await role.start(signal);
      parent.send({ kind: 'health', findings: role.conditions.findings() });
      parent.send({ kind: 'running' });
    },
    async stop() {
      await role.stop().finally(() => timer?.cancel());
    },
  };
}

function partFrom(parent: ParentChannel): Promise<WorkerPart> {
  return new Promise((resolve) => {
    parent.hear((message) => {
      if (message.kind === 'begin') resolve(message.part);
    });
  });
}

/** As often as conditions are looked at. */
const TELL_EVERY_MS = 1_000;
