import type { GatewayFinding, GatewayReport } from '../model/index.ts';
import type { Clock } from '../std/index.ts';
import type { Store } from '../store/index.ts';
import { ResourcesError } from './errors.ts';
import { presentOf } from './gateway-rows.ts';
import type { ResourcesTables } from './migrations.ts';
import { compareText } from './planning/plan.ts';
import type { GatewayInstance, ReportedGateway, Resources } from './types.ts';

/**
 * What gateways say of what they were given. It lies with each gateway in the store, so that any server can tell it; it is not among what
 * servers keep in memory and tell each other of, since every gateway reports after every change, and only operators ask.
 */
export function createGatewayReports(deps: { store: Store; clock: Clock }): {
  /** Keeps it, if `pace` of the gateway's connection allows. */
  keep(gateway: GatewayInstance, report: GatewayReport, pace: ReportPace): Promise<void>;
  all: Resources['reportedGateways'];
} {
  const { store, clock } = deps;
  const db = store.db<ResourcesTables>();
  return {
    async keep({ spiffeId, address, instance }, { revision, findings }, pace) {
      if (!pace.allows(clock.monotonicMs()))
        throw new ResourcesError(
          'ERR_RESOURCES_REPORTS',
          `${REPORTS_MAX} reports within ${PACE_MS / 1000} s are enough`,
        );
      await store.transaction<ResourcesTables, void>(
        async (trx) => {
          await trx
            .updateTable('resources_gateways')
            .set({ reported: revision, findings: findings.length === 0 ? null : JSON.stringify(findings) })
            .where('spiffe_id', '=', spiffeId)
            .where('address', '=', address)
            .where('instance', '=', instance)
            .execute();
        },
        { order: 'resources.gateways' },
      );
    },
    async all() {
      const rows = await db
        .selectFrom('resources_gateways')
        .select(['spiffe_id', 'address', 'instance', 'connected', 'since_ms', 'reported', 'state'])
        .select((select) => select.fn<number | null>('length', ['findings']).as('size'))
        .orderBy('instance')
        .execute();
      const told = await db
        .selectFrom('resources_gateways')
        .select(['spiffe_id', 'address', 'instance', 'findings'])
        .where('connected', '=', 1)
        .where('findings', 'is not', null)
        .orderBy('spiffe_id')
        .orderBy('address')
        .orderBy('instance')
        .limit(GATEWAYS_TOLD_MAX)
        .execute();
      const findingsOf = new Map(
        told.map((row) => [keyOf(row), JSON.parse(row.findings ?? '[]') as GatewayFinding[]]), // As written above.
      );
      const present = presentOf(rows).flatMap((instances) => [...instances]);
      const gateways = present.map((row): ReportedGateway => {
        const isConnected = row.connected === 1;
        const findings = findingsOf.get(keyOf(row));
        return {
          ...{ spiffeId: row.spiffe_id, address: row.address, connected: isConnected, sinceMs: row.since_ms },
          state: row.state,
          report:
            isConnected && row.reported !== null
              ? { revision: row.reported, findings: findings ?? [], state: row.state }
              : undefined,
          findingsLeftOut: isConnected && row.size !== null && findings === undefined,
        };
      });
      return gateways.sort((a, b) => compareText(a.spiffeId, b.spiffeId) || compareText(a.address, b.address));
    },
  };
}

function keyOf({ spiffe_id, address, instance }: { spiffe_id: string; address: string; instance: string }): string {
  return `${spiffe_id} ${address} ${instance}`;
}

/** How often one gateway may report: each report is a write to the store. */
export interface ReportPace {
  allows(nowMs: number): boolean;
}

/** Creates that of one gateway. */
export function createReportPace(): ReportPace {
  let begunMs = Number.NEGATIVE_INFINITY;
  let reports = 0;
  return {
    allows(nowMs) {
      if (nowMs - begunMs >= PACE_MS) {
        begunMs = nowMs;
        reports = 0;
      }
      reports++;
      return reports <= REPORTS_MAX;
    },
  };
}

/** A gateway reports three times a second at most, and that only while somebody applies one change after the other. */
const REPORTS_MAX = 50;
const PACE_MS = 10_000;
/** So that a list of them fits a message, whatever each has to say; many gateways mostly say the same. */
const GATEWAYS_TOLD_MAX = 100;
