import type { Kysely } from 'kysely';
import type { GatewayReport, GatewayState } from '../model/index.ts';
import type { TransactionEffects } from '../store/index.ts';

/** The name of a registered kind, as files have it: `Target`. */
export type ResourceKind = string;

/** One declared resource. `spec` is JSON; secrets in it are references, never values. */
export interface Resource {
  readonly kind: ResourceKind;
  /** Lower-case letters, digits and dashes, at most 63, starting with a letter. */
  readonly name: string;
  readonly spec: unknown;
}

/** What applying would do, or did, to one resource. */
export interface Change {
  readonly kind: ResourceKind;
  readonly name: string;
  readonly action: 'create' | 'update' | 'delete' | 'unchanged';
  /**
   * For people, one line a difference: `config.host: "db1" → "db2"`; of a text of several lines those that changed, `cedar -3: @mask("a:b")`
   * or `cedar +3: …`, with their numbers. Never a secret value.
   */
  readonly differences: readonly string[];
}

/** One thing that is wrong with a resource. */
export interface Problem {
  readonly kind: ResourceKind;
  readonly name: string;
  /** Where in the spec and what: `config.port must be <= 65535`. */
  readonly message: string;
}

/** A plan, or why there is none. `revision` is what it was made against. */
export type Plan =
  | { readonly ok: true; readonly changes: readonly Change[]; readonly revision: number }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** One gateway, among those that have or claim its SPIFFE ID and address. */
export interface GatewayInstance {
  readonly spiffeId: string;
  /** Where agents reach it: `host:port`. */
  readonly address: string;
  /** What it calls itself, so that nobody else can speak for it; empty: nothing. */
  readonly instance: string;
}

/** A gateway that was seen: all its instances. Times in epoch milliseconds. */
export interface GatewayView {
  readonly spiffeId: string;
  /** Where agents reach it: `host:port`. */
  readonly address: string;
  readonly connected: boolean;
  /** What it said of itself last, or that one serves where several are connected: then agents are told of it. */
  readonly state: GatewayState;
  /** Since when it is connected, or not. */
  readonly sinceMs: number;
}

/** One instance with what it said last. */
export interface ReportedGateway extends GatewayView {
  /** Undefined when it has said nothing since it connected, or is not connected. */
  readonly report: GatewayReport | undefined;
  /** True when it found something that the report here leaves out, since too many gateways have findings. */
  readonly findingsLeftOut: boolean;
}

/** All declared resources at one revision. */
export interface Snapshot {
  readonly revision: number;
  /** Of every kind, ordered by name. */
  readonly resources: readonly Resource[];
  readonly targets: readonly Resource[];
  readonly policies: readonly Resource[];
}

/** One declared resource by its name. */
export type ResourceName = Pick<Resource, 'kind' | 'name'>;

export interface PlanOptions {
  /** Whatever is not among the resources is deleted. */
  readonly prune: boolean;
  /** Deleted besides; one that is not there is left alone. */
  readonly remove?: readonly ResourceName[];
  /** What the caller has seen: with another one in force nothing is planned or done. */
  readonly ifRevision?: number;
}

export interface ApplyOptions extends PlanOptions {
  readonly signal?: AbortSignal;
  /**
   * What belongs with the resources and another feature keeps, written in the same transaction: when this throws, nothing of either is kept.
   * Runs again when the transaction does.
   */
  readonly alongside?: (trx: Kysely<unknown>, effects: TransactionEffects) => Promise<void>;
}

/** Servers on one database, as one of them sees them. */
export interface ServersSeen {
  /** That are there, this one included, as of its last look. */
  readonly held: number;
  /** That it has found gone since it runs, which include those that were stopped. */
  readonly gone: number;
  /** How often it was taken for gone itself since it runs. */
  readonly selfGone: number;
}

/** Declared resources, and the gateways that serve them. */
export interface Resources {
  /** Names of the kinds that can be declared, in order. */
  readonly kinds: readonly ResourceKind[];
  /**
   * What `apply` would do, and refuse.
   * @throws ResourcesError ERR_RESOURCES_LIMIT, ERR_RESOURCES_CHANGED; StoreError
   */
  plan(resources: readonly Resource[], options: PlanOptions): Promise<Plan>;
  /**
   * Makes it so, wholly or not at all, planning against what is there at that moment; the plan returned is what was done.
   * When it resolves, this process's `snapshot` shows it. @throws ResourcesError ERR_RESOURCES_LIMIT, ERR_RESOURCES_CHANGED; StoreError
   */
  apply(resources: readonly Resource[], options: ApplyOptions): Promise<Plan>;
  /** All of them as the database has them, those of a kind ordered by name. */
  list(): Promise<Snapshot>;
  /** What is in force, from memory. @throws ResourcesError ERR_RESOURCES_NOT_READY before `start` */
  snapshot(): Snapshot;
  /** Calls `listener` after each change, on every server. Returns the way to stop. */
  onChange(listener: (snapshot: Snapshot) => void): () => void;
  /**
   * Notes that a gateway connected to this server, in which state (it serves when that is not given), or left it. One that does so again and
   * again is noted at its own pace, as it is by then.
   * @throws ResourcesError ERR_RESOURCES_ADDRESS, ERR_RESOURCES_LIMIT; StoreError
   */
  reportGateway(
    report: Omit<GatewayInstance, 'instance'> & { instance?: string; connected: boolean; state?: GatewayState },
  ): Promise<void>;
  /**
   * Keeps what a gateway says that is connected to this server, in place of what it said before. Of a new state all servers have been told
   * when it resolves, which is at the gateway's own pace.
   * @throws ResourcesError ERR_RESOURCES_GATEWAY, ERR_RESOURCES_REPORTS; StoreError
   */
  keepReport(gateway: Omit<GatewayInstance, 'instance'> & { instance?: string }, report: GatewayReport): Promise<void>;
  /** All gateways seen and what they said, on any server, as the database has them: each instance that is connected. */
  reportedGateways(): Promise<readonly ReportedGateway[]>;
  /** Every process of a gateway that is connected, to any server, as the database has it. */
  gatewayInstances(): Promise<readonly GatewayInstance[]>;
  /** All gateways seen, ordered by SPIFFE ID and address, from memory. */
  gateways(): readonly GatewayView[];
  /** Calls `listener` when a gateway comes or goes, on any server. Returns the way to stop. */
  onGateways(listener: (gateways: readonly GatewayView[]) => void): () => void;
  /** The servers on this database, as this one sees them. */
  servers(): ServersSeen;
  /** Forgets a gateway that is gone for good. True when it was there. */
  forgetGateway(spiffeId: string, address: string): Promise<boolean>;
}
