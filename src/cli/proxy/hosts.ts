import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../std/index.ts';
import { targetSocketOf, targetsIn } from '../connections/targets.ts';
import { plainHost } from './connect-head.ts';

/** Where requests for a host go. */
export interface ProxiedTarget {
  readonly name: string;
  /** Of the agent, in which the target speaks HTTP. */
  readonly socket: string;
}

/** Hosts by their names, and those that two targets have. */
export interface ProxiedHosts {
  readonly byHost: ReadonlyMap<string, ProxiedTarget>;
  readonly shared: ReadonlyMap<string, readonly string[]>;
}

/**
 * The hosts that HTTP targets of that folder list, as the agent says beside their sockets. Of one that several list it is `preferred`'s, if that lists it, else
 * nobody's: which one is meant can't be told.
 */
export function readHosts(directory: string, targets: readonly string[], preferred: string | undefined): ProxiedHosts {
  const claims = new Map<string, ProxiedTarget[]>();
  for (const name of targets) {
    const socket = targetSocketOf(directory, name, 'http');
    if (socket === undefined) continue;
    for (const host of hostsIn(join(directory, name)))
      claims.set(host, [...(claims.get(host) ?? []), { name, socket }]);
  }
  const byHost = new Map<string, ProxiedTarget>();
  const shared = new Map<string, readonly string[]>();
  for (const [host, claimants] of claims) {
    const chosen = claimants.length === 1 ? claimants[0] : claimants.find(({ name }) => name === preferred);
    if (chosen === undefined)
      shared.set(
        host,
        claimants.map(({ name }) => name),
      );
    else byHost.set(host, chosen);
  }
  return { byHost, shared };
}

/**
 * Finds the target that lists a host now, of which none did when the command started: its root can't vouch for it, so that it takes another start. The
 * folder is read again where the last time is a while ago.
 */
export function createLateTarget(directory: string, clock: Clock): (host: string) => string | undefined {
  let known: ReadonlyMap<string, string> = new Map();
  let readMs = clock.monotonicMs();
  return (host) => {
    if (clock.monotonicMs() - readMs >= READ_EVERY_MS) {
      readMs = clock.monotonicMs();
      known = new Map(namesIn(directory).flatMap((name) => hostsIn(join(directory, name)).map((one) => [one, name])));
    }
    return known.get(host);
  };
}

function namesIn(directory: string): readonly string[] {
  try {
    return targetsIn(directory);
  } catch {
    return []; // An agent that ends takes its folders away while they are read.
  }
}

function hostsIn(folder: string): string[] {
  try {
    return readFileSync(join(folder, 'hosts'), 'latin1')
      .split('\n')
      .filter((line) => HOST.test(line))
      .slice(0, HOSTS_MAX)
      .map(plainHost);
  } catch {
    return []; // It lists none.
  }
}

const HOST = /^(?:\[[0-9a-f:.]+\]|[a-z0-9._-]{1,255})$/;
const HOSTS_MAX = 100;
const READ_EVERY_MS = 10_000;
