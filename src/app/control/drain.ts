import type { Gateway } from '../../gateway/index.ts';
import { type Clock, type Log, timeoutSignal } from '../../std/index.ts';
import type { Found } from '../health/conditions.ts';
import type { GatewayReports } from './gateway-reports.ts';

/** The time between the word to stop and the stop: new sessions go to other gateways, those that are here come to their end. */
export interface Drain {
  /** Resolves when the gateway may be stopped: no session is left, the time is over, or no other gateway is there for whom it would wait. */
  leave(): Promise<void>;
  /** Whoever stops it does not want to wait. */
  hurry(): void;
  findings(): readonly Found[];
}

/** Creates the one of a gateway; `delayMs` is the longest that it waits. */
export function createDrain(deps: {
  clock: Clock;
  log: Log;
  delayMs: number;
  gateway: Pick<Gateway, 'leave' | 'sessions'>;
  reports: Pick<GatewayReports, 'leave'>;
}): Drain {
  const { clock, log, delayMs, gateway, reports } = deps;
  const hurried = new AbortController();
  let isLeaving = false;
  return {
    async leave() {
      isLeaving = true;
      log.info('app.gateway.leaving', { sessions: gateway.sessions().length });
      const wait = timeoutSignal(clock, delayMs, hurried.signal);
      // While no other takes new sessions, nothing is better than to be back soon. Unknown, where the server is away: it may be so, or not.
      void reports.leave().then((others) => {
        if (others === 0) hurried.abort();
      });
      await gateway.leave(wait.signal);
      wait.cancel();
      log.info('app.gateway.left', { sessions: gateway.sessions().length });
    },
    hurry: () => hurried.abort(),
    findings: () =>
      isLeaving
        ? [{ severity: 'failed', key: 'left', found: `the gateway is stopping; it has ${countOf(gateway)}` }]
        : [],
  };
}

function countOf({ sessions }: Pick<Gateway, 'sessions'>): string {
  const { length } = sessions();
  return length === 1 ? '1 session' : `${length} sessions`;
}
