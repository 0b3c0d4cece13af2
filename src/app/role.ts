import type { Clock, Log, Random, Service } from '../std/index.ts';

/** What every role is made of; `config` is its section of the configuration file. */
export interface RoleDeps<Config> {
  readonly trustDomain: string;
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** A running role. */
export interface Role extends Service {
  /** While it stops: whoever stops it does not want to wait for what ends by itself. A role that waits for nothing lacks it. */
  hurry?(): void;
  /** Reasons why it can't serve at the moment; none = ready. */
  notReady(): readonly string[];
  /** How long a stop may take for the sake of others, who finish what they are at. */
  readonly graceMs: number;
  /** It has nothing more to do, and may be stopped: another process does it. */
  isOver?(): boolean;
  /** Why it can do nothing more until it is started anew: what runs it then ends it, so that its supervisor does that. */
  failure(): Error | undefined;
}

/** The one member that a `{ <id>: <config> }` section names. */
export function chosen(section: Readonly<Record<string, unknown>>): { id: string; config: unknown } {
  const [entry] = Object.entries(section);
  return { id: entry?.[0] ?? '', config: entry?.[1] ?? {} };
}

/** Every member that a section names. */
export function allChosen(section: Readonly<Record<string, unknown>>): { id: string; config: unknown }[] {
  return Object.entries(section).map(([id, config]) => ({ id, config }));
}
