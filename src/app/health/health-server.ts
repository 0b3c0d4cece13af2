import type { Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Gauge, type Registry } from 'prom-client';
import { type Log, messageOf, type Service } from '../../std/index.ts';
import { AppError } from '../errors.ts';
import { type Conditions, type Finding, reasonsOf, type Severity } from './conditions.ts';
import { createMetrics, type Metric } from './metrics.ts';

/**
 * `/live` (200 while the process runs: nothing else is asked, since starting it again mends no disk and no server), `/ready` (503 with the
 * reasons while something has failed; what is degraded stays 200, for the rest still works) and `/metrics` (Prometheus text format) on one
 * address. `/ready` and the metric `countersign_condition` show the same conditions.
 */
export interface HealthServer extends Service {
  address(): { host: string; port: number };
}

/** Creates the health server of one process. */
export function createHealthServer(deps: {
  host: string;
  port: number;
  log: Log;
  conditions: Pick<Conditions, 'names' | 'findings'>;
  metrics: readonly Metric[];
  /** Of a role of several processes: the text of `/metrics`, with those of this one. */
  metricsText?: (own: Registry) => Promise<string>;
}): HealthServer {
  const { conditions, metricsText = (own) => own.metrics() } = deps;
  const registry = createMetrics(deps.metrics);
  registerConditions(registry, conditions);
  // An import would read each name of the module, and one of them loads all that `fetch` is made of: a tenth of a start.
  const { createServer } = process.getBuiltinModule('node:http');
  const server: Server = createServer(
    {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: LOOK_MS,
      maxHeaderSize: HEADER_BYTES_MAX,
    },
    (request, response) => {
      answer(request.method ?? '', request.url ?? '').then(
        ({ status, type, body }) =>
          response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body),
        (error) => {
          deps.log.error('app.health.failed', { error: error instanceof Error ? error : messageOf(error) });
          response.writeHead(500).end();
        },
      );
    },
  );
  // Also who reads no answer.
  server.timeout = IDLE_MS_MAX;
  // A connection that can't be accepted, for want of descriptors say, is no reason to end the process.
  server.on('error', () => {});
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    // An honest prober is done in no time: refused for want of room, a role that is well would be taken for dead.
    const [oldest] = sockets;
    if (sockets.size >= CONNECTIONS_MAX) oldest?.destroy();
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });

  async function answer(method: string, url: string): Promise<{ status: number; type: string; body: string }> {
    const json = (status: number, body: unknown) => ({
      status,
      type: 'application/json',
      body: `${JSON.stringify(body)}\n`,
    });
    if (method !== 'GET' && method !== 'HEAD') return json(405, { status: 'method not allowed' });
    if (url === '/live') return json(200, { status: 'live' });
    if (url === '/metrics') return { status: 200, type: registry.contentType, body: await metricsText(registry) };
    if (url !== '/ready') return json(404, { status: 'not found' });
    const findings = conditions.findings();
    const reasons = reasonsOf(findings);
    const problems = findings.length === 0 ? {} : { problems: findings.map(problemOf) };
    if (reasons.length === 0) return json(200, { status: 'ready', ...problems });
    return json(503, { status: 'not ready', reasons, ...problems });
  }

  return {
    start: () =>
      new Promise((resolve, reject) => {
        const fail = (cause: Error) =>
          reject(
            new AppError('ERR_APP_LISTEN', `http can not listen on ${deps.host}:${deps.port}: ${messageOf(cause)}`, {
              cause,
            }),
          );
        server.on('error', fail);
        server.listen(deps.port, deps.host, () => {
          server.off('error', fail);
          resolve();
        });
      }),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
    address() {
      const address = server.address() as AddressInfo; // Listening on TCP, so it is neither a path nor null.
      return { host: address.address, port: address.port };
    },
  };
}

/** Each condition of the role in each severity, 1 where it has it now: what is well is shown too, so that an alert can tell 0 from nothing. */
function registerConditions(registry: Registry, conditions: Pick<Conditions, 'names' | 'findings'>): void {
  new Gauge({
    name: 'countersign_condition',
    help: '1 while something is wrong: failed = not ready, degraded = broken and still serving, warning = worth a look.',
    labelNames: ['condition', 'severity'],
    registers: [registry],
    collect() {
      for (const condition of conditions.names) for (const severity of SEVERITIES) this.set({ condition, severity }, 0);
      for (const { condition, severity } of conditions.findings()) this.set({ condition, severity }, 1);
    },
  });
}

function problemOf({ sinceMs, ...finding }: Finding) {
  return { ...finding, since: new Date(sinceMs).toISOString() };
}

const SEVERITIES: readonly Severity[] = ['warning', 'degraded', 'failed'];

const REQUEST_TIMEOUT_MS = 5000;
const LOOK_MS = 1000;
const IDLE_MS_MAX = 10_000;
/** A prober's are some hundred bytes. */
const HEADER_BYTES_MAX = 8192;
/** Probes and scrapers; more is somebody else, and the oldest makes room. */
const CONNECTIONS_MAX = 64;
