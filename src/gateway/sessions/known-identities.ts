import { attributesText, hasAttributes, type IdentityAttributes, NO_ATTRIBUTES } from '../../model/index.ts';

/** Attributes of identities by SPIFFE ID; one without attributes has none any more. `whole`: whoever is not among them has none. */
export interface PrincipalsUpdate {
  readonly whole: boolean;
  readonly changes: ReadonlyMap<string, IdentityAttributes>;
}

/** What identities are to policies, and how often that has changed. */
export interface KnownIdentities {
  /** True when one of them is another one now. */
  apply(update: PrincipalsUpdate): boolean;
  attributesOf(uri: string): IdentityAttributes;
  /** Grows with every change of that identity. */
  versionFor(uri: string): number;
}

export function createKnownIdentities(changesCountedMax = CHANGES_COUNTED_MAX): KnownIdentities {
  let known = new Map<string, IdentityAttributes>();
  /** Of all, what the counts that are no longer kept can have come to. */
  let base = 0;
  const counts = new Map<string, number>();
  const attributesOf = (uri: string) => known.get(uri) ?? NO_ATTRIBUTES;
  const note = (uri: string) => {
    counts.set(uri, (counts.get(uri) ?? 0) + 1);
    if (counts.size <= changesCountedMax) return;
    let most = 0;
    for (const times of counts.values()) most = Math.max(most, times);
    // Beyond the version of any of them: none may come again.
    base += most + 1;
    counts.clear();
  };
  return {
    apply({ whole, changes }) {
      const before = known;
      const concerned = whole ? new Set([...before.keys(), ...changes.keys()]) : changes.keys();
      if (whole) known = new Map();
      let isChanged = false;
      for (const uri of concerned) {
        const then = before.get(uri) ?? NO_ATTRIBUTES;
        const now = changes.get(uri) ?? NO_ATTRIBUTES;
        if (hasAttributes(now)) known.set(uri, now);
        else known.delete(uri);
        if (attributesText(then) === attributesText(now)) continue;
        note(uri);
        isChanged = true;
      }
      return isChanged;
    },
    attributesOf,
    versionFor: (uri) => base + (counts.get(uri) ?? 0),
  };
}

/** Of so many identities it is counted apart how often they changed; beyond it all sessions are judged anew once. */
const CHANGES_COUNTED_MAX = 100_000;
