import { type Decision, type Judged, judgedBy, noObligations } from '../../../../model/index.ts';
import type { SessionPolicy } from '../../../sessions/session.ts';
import type { Catalog, Plan, Planner, Refusal, StatementPlan } from '../sql/index.ts';

// A planner that does what marks in the text say, so that tests of the session say nothing of SQL: comments that hold `deny`, `mask`
// (by the attributes in `maskedAttributes`), `limit 3` (and `bytesIn`, `bytesOut`, `duration`, `rate`), `write`, `withhold`, `unproven`, `ddl`. COPY is told by its first word.
export const maskedAttributes = new Map<`${number}:${number}`, 'redact' | 'null' | 'last4'>();

export function createStubPlanner(): Planner {
  return { plan: ({ sql, mode }) => stubPlan(sql, mode), planLong: async ({ sql, mode }) => stubPlan(sql, mode) };
}

/** What that planner makes of a text. */
export function stubPlan(sql: string, mode: 'simple' | 'parse'): Plan {
  if (sql.includes('/*deny*/')) return refusal('policy-denied', '42501', 'policy does not allow it');
  const texts = sql
    .split(';')
    .map((text) => text.trim())
    .filter((text) => text !== '');
  if (mode === 'parse' && texts.length > 1) return refusal('several-statements', '42601', 'several statements');
  return { verdict: 'forward', statements: texts.map(statement), prepared: undefined };
}

/** The stub planner asks it nothing; asked all the same, it permits nothing. */
export const stubPolicy: SessionPolicy = {
  version: 1,
  policySet: undefined,
  principalKey: 'web',
  decide: () => ({ allow: false, reason: 'no-permit', policies: [] }),
  potentialMasks: () => [],
  onChange: () => () => {},
};

export const stubCatalog = { version: 1 } as Catalog; // The stub planner never looks into it.

/** In place of what `sql/index.ts` has by these names: the stub planner, and a catalog that is no work to read. */
export const stubSql = {
  loadParser: async () => {},
  createPlanner: createStubPlanner,
  createCatalogMirror: () => ({
    ...{ catalog: stubCatalog, bytes: 0, take: () => false },
    questions: () => [{ name: 'settings', sql: 'select 1', lasting: false, optional: false }],
  }),
};

function judged(decision: Decision): Judged {
  const resource = { type: 'Postgres::Table', id: 'db/app/public/people', attributes: {}, parents: [] };
  const context = { columns: ['name'], hasWhere: false };
  return judgedBy(undefined, [{ question: { action: 'postgres:select', resource, context }, decision }]);
}

function statement(text: string): StatementPlan {
  const masked = text.includes('/*mask*/') || text.includes('/*unproven*/');
  const limits = Object.fromEntries(
    Array.from(text.matchAll(/\/\*(limit|bytesIn|bytesOut|duration|rate) (\d+)\*\//g), ([, unit = '', most]) => [
      unit === 'limit' ? 'items' : unit,
      Number(most),
    ]),
  );
  const quotas =
    limits['rate'] === undefined ? {} : { quotas: [{ policy: 'p1', unit: 'rate', most: limits['rate'] } as const] };
  const copy = /^copy .* from stdin/i.test(text) ? 'in' : /^copy .* to stdout/i.test(text) ? 'out' : undefined;
  const deallocate = /^deallocate (\w+)/i.exec(text)?.[1];
  return {
    kind: text.split(' ')[0] ?? '',
    fingerprint: '0123456789abcdef',
    touches: [{ action: 'postgres:select', resource: 'db/app/public/people' }],
    judged: judged({ allow: true, policies: ['p1'], obligations: { ...noObligations, limits, ...quotas } }),
    writes: /^(insert|update|delete|copy .* from)/i.test(text) || text.includes('/*write*/'),
    policies: ['p1'],
    masks: masked
      ? {
          byAttribute: maskedAttributes,
          relations: new Map([...maskedAttributes.keys()].map((key) => [Number(key.split(':')[0]), 3])),
          cleanRest: false,
          columnsMasked: text.includes('/*unproven*/') ? 99 : 1,
        }
      : undefined,
    record: 'digest',
    withhold: masked || text.includes('/*withhold*/') ? 'values' : 'nothing',
    isMasking: masked || text.includes('/*withhold*/'),
    hasOwnOperators: false,
    copy,
    unknown: [],
    effects:
      deallocate === undefined ? [] : [{ kind: 'deallocate', name: deallocate === 'all' ? undefined : deallocate }],
    reads: undefined,
    needsValues: false,
    changesCatalog: text.includes('/*ddl*/'),
  };
}

function refusal(reason: Refusal['reason'], sqlstate: string, message: string): Refusal {
  return {
    verdict: 'refuse',
    reason,
    sqlstate,
    message,
    policies: ['p-deny'],
    statements: [
      {
        kind: 'select',
        fingerprint: 'fedcba9876543210',
        touches: [{ action: 'postgres:select', resource: 'x' }],
        judged: judged({ allow: false, reason: 'no-permit', policies: [] }),
      },
    ],
  };
}
