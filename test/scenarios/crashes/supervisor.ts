/** Starts what ended, and nothing else: as a process supervisor that restarts on failure would. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Stack } from '../../support/stack.ts';
import { ROLES } from '../../support/stack-folder.ts';
import type { Victim } from './plan.ts';

export interface Supervisor {
  /** kill -9 of one role; resolves when it is gone (PostgreSQL: with all of its processes). It is started again by itself. */
  kill(victim: Victim): Promise<void>;
  /** Resolves when every role serves again. */
  ready(): Promise<void>;
  /** Roles that ended by themselves, with their exit code: they gave up while something they need was away. */
  readonly gaveUp: string[];
  stop(): Promise<void>;
}

export function createSupervisor(stack: Stack): Supervisor {
  const stopping = new AbortController();
  const gaveUp: string[] = [];
  let postgres: Promise<void> = Promise.resolve();
  let deaths = 0;

  /** Until it runs, or is killed anew: then whoever killed it starts it. */
  const startPostgres = async () => {
    for (const death = ++deaths; death === deaths && !stopping.signal.aborted; ) {
      const started = await stack.postgres.restart().then(
        () => true,
        () => false, // Killed in its start, or not able to: then once more.
      );
      if (started) return;
      await pause(RESTART_MS);
    }
  };
  const watch = async () => {
    while (!stopping.signal.aborted) {
      for (const role of ROLES) {
        const { exitCode } = stack.roles[role];
        if (exitCode === undefined) continue;
        if (exitCode !== KILLED) gaveUp.push(`${role} (${exitCode})`);
        stack.roles[role].start();
      }
      await pause(RESTART_MS, undefined, { signal: stopping.signal }).catch(() => {}); // The end of the test ends the watch.
    }
  };
  const watching = watch();
  return {
    gaveUp,
    async kill(victim) {
      if (victim !== 'postgres') {
        await stack.roles[victim].end('SIGKILL');
        return;
      }
      deaths++;
      await stack.postgres.kill9();
      await postgres;
      postgres = startPostgres();
    },
    async ready() {
      await postgres;
      for (const role of ROLES) await stack.roles[role].ready(READY_MS);
    },
    async stop() {
      stopping.abort();
      await watching;
      await postgres;
    },
  };
}

/** Exit code of a process that was killed, as the stack reports it. */
const KILLED = 137;
/** `RestartSec` of systemd: 100 ms. */
const RESTART_MS = 100;
const READY_MS = 60_000;
