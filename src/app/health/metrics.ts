import { AggregatorRegistry, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { createSystemHeap } from '../../std/index.ts';

/** One number that `/metrics` shows, or one for each value of a label; `read` is called at each scrape. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  /** Whose values nobody but us can make. */
  readonly label?: string;
  read(): number | ReadonlyMap<string, number>;
}

/** The figures of one process at one moment. */
export type MetricsOf = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** The metrics of this process: those that every process has, and these. */
export function createMetrics(metrics: readonly Metric[]): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LOOP_PRECISION_MS });
  for (const metric of [...heapMetrics(), ...metrics]) registerMetric(registry, metric);
  return registry;
}

/** The figures of several processes as one text, each with the name of its process in the label `worker`. */
export function metricsOfAll(processes: ReadonlyMap<string, MetricsOf>): Promise<string> {
  const labelled = Array.from(processes, ([worker, metrics]) =>
    metrics.map((metric) => ({
      ...metric,
      // No two have the same labels, so nothing is added to anything.
      aggregator: 'sum',
      values: metric.values.map((value) => ({ ...value, labels: { ...value.labels, worker } })),
    })),
  );
  return AggregatorRegistry.aggregate(labelled).metrics();
}

function registerMetric(registry: Registry, { name, help, label, read }: Metric): void {
  new Gauge({
    ...{ name, help, registers: [registry] },
    labelNames: label === undefined ? [] : [label],
    collect() {
      try {
        const value = read();
        if (typeof value === 'number') return this.set(value);
        for (const [of, one] of value) this.set({ [label ?? '']: of }, one);
      } catch {
        // A part that is not started yet has no figure; the others of the scrape, and the conditions, have.
        this.reset();
      }
    },
  });
}

/** Of every role. */
function heapMetrics(): readonly Metric[] {
  const heap = createSystemHeap();
  return [
    { name: 'countersign_heap_bytes', help: 'Bytes of the heap in use.', read: () => heap.usedBytes },
    {
      name: 'countersign_heap_limit_bytes',
      help: 'Bytes of heap at which the process ends.',
      read: () => heap.limitBytes,
    },
  ];
}

/** How often the delay of the event loop is sampled. At the library's 10 ms, an idle process would do little else. */
const LOOP_PRECISION_MS = 100;
