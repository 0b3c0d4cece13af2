import type { TObject } from 'typebox';

/** The families that are extended by adding one folder. */
export type MemberKind = 'attestor' | 'keystore' | 'protocol' | 'resource-kind' | 'sink' | 'store-engine';

/**
 * What every member of every family says of itself; each family's port adds its own operations. A member is one folder with a
 * door `index.ts` that exports it as `member`, a `README.md`, its tests; registries and reference pages are generated from it.
 */
export interface Member {
  readonly kind: MemberKind;
  /** Name in config, equal to the folder's name: kebab-case. */
  readonly id: string;
  /** One sentence for the reference page. */
  readonly summary: string;
  /** Config of the member: a closed TypeBox object whose properties carry `description` and, unless required, `default`. */
  readonly config: TObject;
}

/** The member with that id, else undefined. */
export function memberById<M extends Member>(members: readonly M[], id: string): M | undefined {
  return members.find((member) => member.id === id);
}
