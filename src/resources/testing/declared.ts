import { createSeededRandom, createSilentLog, type Log, type ManualClock, type Service } from '../../std/index.ts';
import type { Store } from '../../store/index.ts';
import {
  createResources,
  type Kind,
  type Problem,
  type Resource,
  type ResourceKind,
  type Resources,
} from '../index.ts';

export const GATEWAY = 'spiffe://example.org/countersign/gateway';

export const target = (name: string, spec: unknown = { protocol: 'postgres' }): Resource => ({
  kind: 'Target',
  name,
  spec,
});
export const policy = (name: string, text = 'permit(principal, action, resource);'): Resource => ({
  kind: 'Policy',
  name,
  spec: { text },
});
/** A policy that `uniqueIds` refuses beside another one of the same id. */
export const withId = (name: string, id: string): Resource => ({ kind: 'Policy', name, spec: { id } });

/** Stands for the schemas of protocols and the checks of policies. */
const checkAlone: Kind['checkAlone'] = (spec) =>
  typeof spec === 'object' && spec !== null && 'bad' in spec ? ['bad is not allowed', 'and it is bad'] : [];

/** Checks all of one kind. */
export type CheckTogether = (kind: ResourceKind, all: readonly Resource[]) => readonly Problem[];

/** Stands for the loader of policies: `id` is there once. */
export const uniqueIds: CheckTogether = (kind, all) => {
  const taken = new Map<unknown, string>();
  return all.flatMap(({ name, spec }) => {
    const id = typeof spec === 'object' && spec !== null && 'id' in spec ? spec.id : name;
    const other = taken.get(id);
    taken.set(id, other ?? name);
    return other === undefined ? [] : [{ kind, name, message: `the id ${id} is taken by ${other}` }];
  });
};

/** The resources of one server, over `store`. */
export function createTestResources(
  deps: { store: Store; clock: ManualClock },
  options: { seed?: string; log?: Log; checkTogether?: CheckTogether } = {},
): Resources & Service {
  const { seed = 'resources', log = createSilentLog(), checkTogether = uniqueIds } = options;
  const kinds = ['Target', 'Policy'].map((name) => {
    return { name, checkAlone, checkTogether: (own: readonly Resource[]) => checkTogether(name, own) };
  });
  return createResources({ ...deps, random: createSeededRandom(seed), log, kinds });
}
