import {
  type Fields,
  fieldOf,
  fieldsOf,
  hasField,
  isFields,
  listOf,
  type Node,
  nodeOf,
  stringsOf,
} from '../text/tree.ts';

/** What a client has bound to one parameter. */
export interface BoundValue {
  /** OID of the type that Parse named; 0 = the server finds out. */
  readonly type: number;
  readonly isBinary: boolean;
  /** Null for NULL; undefined when its bytes are no text. */
  readonly text: string | null | undefined;
}

/** The values of parameters that are known, or will be before the statement is executed. */
export interface BoundParameters {
  /** Nothing is bound to it yet: plan again then. */
  isLater(parameter: number): boolean;
  /** Null for NULL; undefined: nobody here knows what the server makes of it. */
  textOf(parameter: number): string | null | undefined;
  booleanOf(parameter: number): boolean | null | undefined;
}

/**
 * What is bound to the parameters of a statement of the extended protocol. Only one that stands nowhere but right inside of `set_config` is
 * surely what it looks like: elsewhere the server might find another type for it, and cut its value to that.
 */
export function boundParameters(
  statement: Node,
  values: readonly BoundValue[] | undefined,
): BoundParameters | undefined {
  if (!KINDS.has(statement.kind)) return undefined;
  let strays: ReadonlySet<number> | undefined;
  const isStray = (parameter: number) => {
    strays ??= straysOf(statement);
    return strays.has(parameter);
  };
  const known = (parameter: number, types: ReadonlySet<number>) => {
    const value = isStray(parameter) ? undefined : values?.[parameter - 1];
    return value !== undefined && types.has(value.type) ? value : undefined;
  };
  return {
    isLater: (parameter) => values === undefined && !isStray(parameter),
    textOf: (parameter) => known(parameter, TEXT_TYPES)?.text,
    booleanOf(parameter) {
      const value = known(parameter, BOOLEAN_TYPES);
      return value && readBoolean(value);
    },
  };
}

/** The number of a parameter that stands by itself, or is cast to the type that it has there anyway. */
export function parameterOf(value: unknown): number | undefined {
  const node = nodeOf(value);
  if (node?.kind === 'TypeCast')
    return isPlainCast(fieldsOf(node.fields, 'typeName')) ? parameterOf(fieldOf(node.fields, 'arg')) : undefined;
  if (node?.kind !== 'ParamRef') return undefined;
  const number = fieldOf(node.fields, 'number');
  return typeof number === 'number' ? number : undefined;
}

/** To `text` or `boolean`: any other type may make another value of it. */
export function isPlainCast(type: Fields): boolean {
  const name = stringsOf(listOf(type, 'names'))?.join('.') ?? '';
  return CASTS.has(name) && !hasField(type, 'arrayBounds');
}

/** Parameters that stand anywhere but as an argument of `set_config`. */
function straysOf(statement: Node): ReadonlySet<number> {
  const strays = new Set<number>();
  const waiting: unknown[] = [statement.fields];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (Array.isArray(value)) waiting.push(...value);
    if (!isFields(value)) continue;
    const node = nodeOf(value);
    if (node?.kind === 'ParamRef') strays.add(parameterOf(value) ?? 0);
    else if (node?.kind === 'FuncCall' && isSetConfig(node.fields))
      waiting.push({
        ...node.fields,
        args: listOf(node.fields, 'args').filter((one) => parameterOf(one) === undefined),
      });
    else waiting.push(...Object.values(value).filter((one) => typeof one === 'object' && one !== null));
  }
  return strays;
}

function isSetConfig(call: Fields): boolean {
  return SET_CONFIG.test(stringsOf(listOf(call, 'funcname'))?.join('.') ?? '');
}

/** As the server reads it: in binary one byte, in text any beginning of a word that no other word has. */
function readBoolean({ isBinary, text }: BoundValue): boolean | null | undefined {
  if (text === null || text === undefined) return text;
  if (isBinary) return text === '\u0000' ? false : text === '\u0001' ? true : undefined;
  const word = text.trim().toLowerCase();
  if (TRUE.test(word)) return true;
  return FALSE.test(word) ? false : undefined;
}

const SET_CONFIG = /^(pg_catalog\.)?set_config$/;
/** Those whose parameters are the message's own: PREPARE has others. */
const KINDS: ReadonlySet<string> = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt']);
/** Found by the server, text, unknown, varchar: none of them changes a value. */
const TEXT_TYPES: ReadonlySet<number> = new Set([0, 25, 705, 1043]);
const BOOLEAN_TYPES: ReadonlySet<number> = new Set([0, 16]);
const CASTS: ReadonlySet<string> = new Set(['text', 'pg_catalog.text', 'pg_catalog.bool', 'bool']);
const TRUE = /^(t|tr|tru|true|y|ye|yes|on|1)$/;
const FALSE = /^(f|fa|fal|fals|false|n|no|of|off|0)$/;
