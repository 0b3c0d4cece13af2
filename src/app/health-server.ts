import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { type Log, messageOf, type Service } from '../std/index.ts';
import { AppError } from './errors.ts';

/** One number that `/metrics` shows; `read` is called at each scrape. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  read(): number;
}

/** Something that a role which can serve can't do; `found` is one sentence. No secret is in it. */
export interface Problem {
  readonly what: string;
  readonly found: string;
  readonly remedy: string;
  /** There when nobody is kept out by it. */
  readonly severity?: 'warning';
}

/** `/live`, `/ready` (503 with the reasons while not ready, with the problems at any time) and `/metrics` (Prometheus text format) on one address. */
export interface HealthServer extends Service {
  address(): { host: string; port: number };
}

/** Creates the health server of one process. `notReady` gives the reasons why it can't serve; none = ready, whatever the problems. */
export function createHealthServer(deps: {
  host: string;
  port: number;
  log: Log;
  notReady: () => readonly string[];
  problems?: () => readonly Problem[];
  metrics: readonly Metric[];
}): HealthServer {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOP_PRECISION_MS });
  for (const { name, help, read } of deps.metrics) {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  }
  const server: Server = createServer(
    { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
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
  server.maxConnections = CONNECTIONS_MAX;

  async function answer(method: string, url: string): Promise<{ status: number; type: string; body: string }> {
    const json = (status: number, body: unknown) => ({
      status,
      type: 'application/json',
      body: `${JSON.stringify(body)}\n`,
    });
    if (method !== 'GET' && method !== 'HEAD') return json(405, { status: 'method not allowed' });
    if (url === '/live') return json(200, { status: 'live' });
    if (url === '/metrics') return { status: 200, type: registry.contentType, body: await registry.metrics() };
    if (url !== '/ready') return json(404, { status: 'not found' });
    const reasons = deps.notReady();
    const found = deps.problems?.() ?? [];
    const problems = found.length === 0 ? {} : { problems: found };
    if (reasons.length === 0) return json(200, { status: 'ready', ...problems });
    return json(503, { status: 'not ready', reasons, ...problems });
  }

  return {
    start: () =>
      new Promise((resolve, reject) => {
        // Stays: a connection that can't be accepted, for want of descriptors say, is no reason to end the process.
        server.on('error', (cause) =>
          reject(
            new AppError('ERR_APP_LISTEN', `http can not listen on ${deps.host}:${deps.port}: ${messageOf(cause)}`, {
              cause,
            }),
          ),
        );
        server.listen(deps.port, deps.host, resolve);
      }),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
    address() {
      const address = server.address() as AddressInfo; // Listening on TCP, so it is neither a path nor null.
      return { host: address.address, port: address.port };
    },
  };
}

const REQUEST_TIMEOUT_MS = 5000;
/** Probes and scrapers; more is somebody else. */
const CONNECTIONS_MAX = 64;
/** How often the delay of the event loop is sampled. At the library's 10 ms, an idle process would do little else. */
const LOOP_PRECISION_MS = 100;
