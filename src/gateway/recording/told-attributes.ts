import { type Judged, type LedgerEvent, NO_ATTRIBUTES } from '../../model/index.ts';

/**
 * What one session's entries have said of its identity: its attributes stand whole in the first entry that was judged by them, and in the first
 * after each change; the others have their digest (decision 0035).
 */
export interface ToldAttributes {
  /** To be put into the entry of what was judged so, which is taken for written from then on. */
  detail(judged: Judged): LedgerEvent['detail'];
  /** An entry was not written: nothing counts as told. */
  forget(): void;
}

export function createToldAttributes(): ToldAttributes {
  let told: string | undefined;
  return {
    detail({ set }) {
      // Before any policies came nothing was asked with them.
      if (set === undefined || set.identity?.digest === told) return NOTHING;
      told = set.identity?.digest;
      const { environment, labels, owner } = set.identity?.attributes ?? NO_ATTRIBUTES;
      return { attributes: { environment, labels, owner } };
    },
    forget() {
      told = UNKNOWN;
    },
  };
}

const NOTHING = Object.freeze({});
/** No digest is this. */
const UNKNOWN = '';
