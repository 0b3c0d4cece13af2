import type { FieldMask } from '../../../../../model/index.ts';
import type { MaskKind, PotentialMask } from '../../../../../policy/index.ts';

/** A column as a mask names it. Parts that are absent match anything. */
export interface MaskedColumn {
  readonly schema?: string;
  readonly table?: string;
  readonly name: string;
}

/** A mask on a column of some table. */
export interface TableMask extends PotentialMask {
  readonly column: MaskedColumn;
}

/** Those of the masks that can be on a table: of policies on several protocols not all are. */
export function tableMasks(masks: readonly PotentialMask[]): readonly TableMask[] {
  return masks.flatMap((mask): TableMask[] => {
    const reading = mask.on.get(TABLE);
    const name = reading?.own[0];
    if (reading === undefined || name === undefined) return [];
    const partOf = (wanted: string) => reading.within.find(({ attribute }) => attribute === wanted)?.value;
    const [schema, table] = [partOf('schema'), partOf('name')];
    const column = { name, ...(table === undefined ? {} : { table }), ...(schema === undefined ? {} : { schema }) };
    return [{ ...mask, column }];
  });
}

/** The masks of an answer about a table, by column. */
export function kindsByColumn(masks: readonly FieldMask[]): ReadonlyMap<string, MaskKind> {
  return new Map(masks.map(({ path, kind }) => [path.at(-1) ?? '', kind]));
}

/** The type of `tableResource`. */
export const TABLE = 'Postgres::Table';
