/**
 * Something that runs. `start` resolves once it serves and rejects when it can't; aborting its signal while starting gives up.
 * `stop` drains, then closes what `start` opened; it may be called once, and also after a failed start.
 */
export interface Service {
  start(signal: AbortSignal): Promise<void>;
  stop(): Promise<void>;
}

/** Starts in order; when one fails, stops those already started (newest first) and throws its error. */
export async function startAll(services: readonly Service[], signal: AbortSignal): Promise<void> {
  const started: Service[] = [];
  for (const service of services) {
    started.push(service);
    try {
      await service.start(signal);
    } catch (error) {
      await stopAll(started).catch(() => {}); // The first failure is the one to report.
      throw error;
    }
  }
}

/** Stops newest first; goes on past a failure and throws the first one at the end. */
export async function stopAll(services: readonly Service[]): Promise<void> {
  const failures: unknown[] = [];
  for (const service of services.toReversed()) {
    try {
      await service.stop();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
