import type { Fields } from './tree.ts';

/** A parsed statement that a later one may run by name. Opaque outside of this folder; hold it, hand it back. */
export interface PreparedStatement {
  readonly kind: string;
  /** The statement's node, as the parser gave it; never changed. */
  readonly tree: Fields;
}
