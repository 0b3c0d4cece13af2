/** A function or procedure that isn't PostgreSQL's own; one entry a signature. */
export interface UserFunction {
  readonly schema: string;
  readonly name: string;
  readonly isProcedure: boolean;
  readonly language: string;
  readonly argumentsMin: number;
  readonly argumentsMax: number;
  /** The extension it came with. */
  readonly extension: string | undefined;
}

/** An operator that isn't PostgreSQL's own. */
export interface UserOperator {
  readonly schema: string;
  readonly name: string;
  readonly extension: string | undefined;
  /** All it takes are values of types that nothing but a column, a cast or a parameter of the very type can bring. */
  readonly takesOwnOnly: boolean;
}

/** A cast by function that isn't PostgreSQL's own. */
export interface UserCast {
  /** Its types as a statement must name them to set it off: those of the database's own, else both. */
  readonly types: readonly string[];
  readonly extension: string | undefined;
}

/** What can run code, as the snapshot knows it. */
export interface FunctionFacts {
  /** By name, all schemas. */
  readonly functions: ReadonlyMap<string, readonly UserFunction[]>;
  readonly operators: ReadonlyMap<string, readonly UserOperator[]>;
  readonly casts: readonly UserCast[];
  /** PostgreSQL's own, in pg_catalog: name → the worst volatility of its signatures. */
  readonly builtins: ReadonlyMap<string, 'immutable' | 'stable' | 'volatile'>;
  readonly builtinTypes: ReadonlySet<string>;
}
