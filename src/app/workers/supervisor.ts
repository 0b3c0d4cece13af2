import { lookup } from 'node:dns/promises';
import { type GatewayConfig, parseAddress } from '../../config/index.ts';
import { GatewayError } from '../../gateway/index.ts';
import { type LogLevel, messageOf, parseDurationMs, type Service, startAll, stopAll } from '../../std/index.ts';
import { openDigestKey } from '../digest-key.ts';
import { AppError } from '../errors.ts';
import { type ConditionName, conditionsOf } from '../health/condition-table.ts';
import { createConditions, type Finding, type Found, type HealthChecks, reasonsOf } from '../health/conditions.ts';
import { createHealthServer } from '../health/health-server.ts';
import { type MetricsOf, metricsOfAll } from '../health/metrics.ts';
import { claimPort } from '../process/claim-port.ts';
import { hardenProcess } from '../process/hardening.ts';
import type { Role, RoleDeps } from '../role.ts';
import { openSealKey, openWithheldKey } from '../role-keys.ts';
import { VERSION } from '../version.ts';
import { lockWorkersFolder } from './folder-lock.ts';
import type { ForOthers } from './messages.ts';
import { createSharedCounts } from './shared-counts.ts';
import { createSharedDoors, TAKEN } from './shared-doors.ts';
import type { WorkerProcess } from './worker-process.ts';
import { createWorkerWatch, type WorkerWatch } from './worker-watch.ts';

/** What a supervisor is made of. */
export interface SupervisorDeps extends RoleDeps<GatewayConfig> {
  readonly logLevel: LogLevel;
  readonly startWorker: (which: { number: number; of: number }) => WorkerProcess;
  readonly platform?: string;
}

/**
 * A gateway of several processes: the workers, which serve, and this one, which carries no session. It starts them, and again when one ends;
 * counts what they may have together; hands words on between them; and answers for all at `gateway.http`. They end with it.
 * @throws AppError ERR_APP_CONFIG, ERR_APP_KEY
 */
export function createGatewaySupervisor(deps: SupervisorDeps): Role {
  const { config, clock, log, random, trustDomain, logLevel } = deps;
  checkConfig(deps);
  hardenProcess({ log, attested: false });
  // Made once, before several would make them at once.
  openSealKey(config.dataDir, random);
  openWithheldKey(config.dataDir, random);
  const { about } = openDigestKey(config.dataDir, { random, log });
  let digestKeyIsNew = about['digestKeyIsNew'] === true;
  const counts = createSharedCounts({ clock, limits: config, doors: createSharedDoors() });
  const leaving = createLeaving(() => workers);
  let isStopping = false;
  const workers: readonly WorkerWatch[] = Array.from({ length: config.workers }, (_, index) => {
    const number = index + 1;
    return createWorkerWatch({
      ...{ clock, log, number },
      start: () => {
        const started = deps.startWorker({ number, of: config.workers });
        started.send({
          kind: 'begin',
          part: {
            ...{ number, of: config.workers, release: VERSION, parent: process.pid },
            ...{ trustDomain, config, logLevel, digestKeyIsNew },
          },
        });
        return started;
      },
      heard: (message) => hear(number, message),
      gone() {
        counts.drop(number);
        leaving.gone(number, isStopping);
      },
    });
  });
  const hear = (number: number, message: ForOthers) => {
    const worker = workers[number - 1];
    switch (message.kind) {
      case 'ask': {
        const reply = counts.answer(number, message.id, message.ask);
        return worker?.send({ kind: 'reply', id: message.id, reply });
      }
      case 'leave':
        return counts.leave(number, message.id);
      case 'word':
        // They would pile up here for one that takes none.
        for (const other of workers)
          if (other !== worker && other.missing().length === 0) other.send({ kind: 'word', word: message.word });
        return;
      case 'left':
        return leaving.told(number, message.others);
      default:
        return message satisfies never;
    }
  };
  const conditions = createConditions('gateway', { clock, log, checks: checksOf(workers) });
  const claims: (() => void)[] = [];
  const all: Service = {
    async start(signal) {
      claims.push(lockWorkersFolder(config.dataDir));
      claims.push(await claimDoor(config));
      await Promise.all(workers.map((worker) => worker.start(signal)));
      digestKeyIsNew = false;
    },
    async stop() {
      isStopping = true;
      await Promise.all(workers.map((worker) => worker.stop()));
      for (const release of claims.splice(0)) release();
    },
  };
  const services: Service[] = [conditions, all];
  if (config.http !== undefined) services.unshift(healthServer(deps, { workers, conditions, address: config.http }));
  return {
    notReady: () => reasonsOf(conditions.findings()),
    start: (signal) => startAll(services, signal),
    graceMs: (parseDurationMs(config.drainDelay) ?? 0) + (parseDurationMs(config.drain) ?? 0),
    stop: () => stopAll(services),
    hurry() {
      for (const worker of workers) worker.send({ kind: 'hurry' });
    },
    failure: () => undefined,
  };
}

function checkConfig({ config, platform = process.platform }: SupervisorDeps): void {
  if (parseAddress(config.listen).port === 0)
    throw new AppError(
      'ERR_APP_CONFIG',
      `gateway.workers is ${config.workers}, and each would get another port of its own: give gateway.listen a port`,
    );
  if (platform !== 'linux')
    throw new AppError(
      'ERR_APP_CONFIG',
      `gateway.workers is ${config.workers}, and several processes share a door on Linux alone: set it to 1`,
    );
}

/** Workers share their door with whoever of this user asks for the same: it is claimed for these, from before they come until they are gone. */
async function claimDoor({ listen }: GatewayConfig): Promise<() => void> {
  const { host, port } = parseAddress(listen);
  try {
    const { address } = await lookup(host);
    return claimPort({ address, port });
  } catch (cause) {
    const what = `can't listen on ${host} port ${port}: ${messageOf(cause)}${TAKEN}`;
    throw new GatewayError('ERR_GATEWAY_LISTEN', what, { cause });
  }
}

/** What is wrong with the role: with its workers, and with each of them. */
function checksOf(workers: readonly WorkerWatch[]): HealthChecks<'gateway'> {
  const of = (name: ConditionName) => () =>
    workers.flatMap(({ number, findings }) =>
      findings()
        .filter(({ condition }) => condition === name)
        .map((finding, index) => foundBy(number, finding, index)),
    );
  const checks: unknown = Object.fromEntries(conditionsOf('gateway').map((name) => [name, of(name)]));
  // Of each name of the table, just made.
  return { ...(checks as HealthChecks<'gateway'>), workers: () => workers.flatMap((worker) => worker.missing()) };
}

function foundBy(number: number, { condition, severity, what, found, remedy, sinceMs }: Finding, index: number): Found {
  const of = `worker ${number}`;
  // By its place, since its figures may move.
  return { severity, what: what === condition ? of : `${what}, ${of}`, key: String(index), found, remedy, sinceMs };
}

function healthServer(
  { log }: SupervisorDeps,
  parts: {
    readonly workers: readonly WorkerWatch[];
    readonly conditions: Parameters<typeof createHealthServer>[0]['conditions'];
    readonly address: string;
  },
): Service {
  const { workers, conditions, address } = parts;
  return createHealthServer({
    ...{ ...parseAddress(address), log, conditions },
    metrics: [
      {
        name: 'countersign_gateway_workers',
        help: 'Processes that serve now.',
        read: () => workers.filter(({ runs }) => runs()).length,
      },
    ],
    async metricsText(own) {
      const asked = await Promise.all(workers.map(async (worker) => [worker.number, await worker.metrics()] as const));
      const texts = new Map<string, MetricsOf>([['parent', await own.getMetricsAsJSON()]]);
      for (const [number, metrics] of asked) if (metrics !== undefined) texts.set(String(number), metrics);
      return metricsOfAll(texts);
    },
  });
}

/**
 * How many other gateways serve while all of these leave. Each is told by the server when it has said so; those that said it before others are told
 * of these as well, and the last is not.
 */
function createLeaving(workers: () => readonly WorkerWatch[]) {
  const heard = new Map<number, number | null>();
  const look = () => {
    if (heard.size === 0 || !workers().every((worker) => heard.has(worker.number) || !worker.runs())) return;
    const all = [...heard.values()];
    const others = all.reduce((least, one) => (least === null || one === null ? null : Math.min(least, one)));
    for (const worker of workers()) worker.send({ kind: 'others', others: others ?? null });
  };
  return {
    /** One that ended by itself will say it again, the next time that it leaves. */
    gone(number: number, isStopping: boolean) {
      if (!isStopping) heard.delete(number);
      look();
    },
    told(number: number, others: number | null) {
      heard.set(number, others);
      look();
    },
  };
}
