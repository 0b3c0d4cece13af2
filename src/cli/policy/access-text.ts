import {
  type Access,
  type AccessPolicy,
  approvalText,
  fieldText,
  limitText,
  type ResourceScope,
} from '../../policy/index.ts';
import { formatTimeS, formatWords } from '../terminal/table.ts';

/** By which policies, and under what. Lines for a terminal, indented. */
export function accessLines({ verdict, permits, forbids }: Access): readonly string[] {
  const free = permits.filter(({ approval }) => approval === undefined);
  const allowed =
    verdict === 'never' ? [] : free.map((one) => `allowed by ${one.policy}${conditionsOf(one)}${demandsOf(one)}`);
  const held = permits.flatMap((one) =>
    one.approval === undefined ? [] : [`held by ${one.policy}${conditionsOf(one)}: it ${approvalText([one.approval])}`],
  );
  const refused = forbids.map((one) => `refused by ${one.policy}${conditionsOf(one)}`);
  return [...allowed, ...held, ...refused].map((line) => formatWords(line, '    '));
}

/** Rules of which somebody has to approve, each once. */
export function rulesOf({ permits }: Access): readonly string[] {
  return Array.from(new Set(permits.flatMap(({ approval }) => approval ?? []))).sort();
}

/** Whether nothing of it runs without an approval. */
export function isEachHeld({ permits }: Access): boolean {
  return permits.some(({ approval, within, when }) => approval !== undefined && within.length + when.length === 0);
}

/** `any identity below spiffe://example.org/shop`. */
export function identitiesOf(scope: ResourceScope): string {
  if (scope.op === 'equals') return scope.id;
  if (scope.op === 'in' && scope.type === 'IdentityPath') return `any identity below ${scope.id}`;
  if (scope.op === 'in' && scope.type === 'TrustDomain') return `any identity of the trust domain ${scope.id}`;
  return 'any identity';
}

/** `table shop/shop/public/orders`, `everything in target shop`. */
export function resourcesOf(scope: ResourceScope): string {
  switch (scope.op) {
    case 'any':
      return 'everything';
    case 'is':
      return `every ${wordOf(scope.type)}`;
    case 'equals':
      return `${wordOf(scope.type)} ${scope.id}`;
    case 'in': {
      const all = scope.is === undefined ? 'everything' : `every ${wordOf(scope.is)}`;
      return `${all} in ${wordOf(scope.type)} ${scope.id}`;
    }
    default:
      return scope satisfies never;
  }
}

/** An access as JSON: what is not there is left out. */
export function accessValue({ permits, forbids, verdict }: Access) {
  const value = ({ policy, within, when, masks, limits, record, approval, expiresMs }: AccessPolicy) => ({
    ...{ policy, within, when },
    ...(masks.length === 0 ? {} : { masks: Object.fromEntries(masks.map((mask) => [fieldText(mask), mask.kind])) }),
    ...(limits.length === 0 ? {} : { limits: Object.fromEntries(limits.map(({ word, most }) => [word, most])) }),
    ...(record === undefined ? {} : { record }),
    ...(approval === undefined ? {} : { approval }),
    ...(expiresMs === undefined ? {} : { expires: formatTimeS(expiresMs / 1000) }),
  });
  return { verdict, permits: permits.map(value), forbids: forbids.map(value) };
}

function conditionsOf({ within, when }: AccessPolicy): string {
  const where = within.length === 0 ? '' : ` where ${within.join(' and ')}`;
  return `${where}${when.map((one) => ` ${one}`).join('')}`;
}

function demandsOf({ masks, limits, record, expiresMs }: AccessPolicy): string {
  const demands = [
    ...(expiresMs === undefined ? [] : [`until ${formatTimeS(expiresMs / 1000)}`]),
    ...(masks.length === 0 ? [] : [`masks ${masks.map((mask) => `${fieldText(mask)}:${mask.kind}`).join(', ')}`]),
    ...limits.map(limitText),
    ...(record === 'full' ? ['recorded in full'] : []),
  ];
  return demands.map((demand) => `; ${demand}`).join('');
}

/** `table` of `Postgres::Table`. */
function wordOf(type: string): string {
  return type.slice(type.lastIndexOf(':') + 1).toLowerCase();
}
