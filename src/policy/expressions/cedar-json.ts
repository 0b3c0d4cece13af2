/** Cedar's JSON policy format, as far as it is evaluated here. @see Cedar policy language, "JSON policy format" */
export interface PolicyJson {
  readonly effect: 'permit' | 'forbid';
  readonly principal: ScopeJson;
  readonly action: ActionScopeJson;
  readonly resource: ScopeJson;
  readonly conditions: readonly { readonly kind: 'when' | 'unless'; readonly body: ExprJson }[];
  /** An annotation without a value is null. */
  readonly annotations?: Readonly<Record<string, string | null>>;
}

/** The principal or resource part of a scope. */
export type ScopeJson =
  | { readonly op: 'All' }
  | { readonly op: '=='; readonly entity: UidJson }
  | { readonly op: 'in'; readonly entity: UidJson }
  | { readonly op: 'is'; readonly entity_type: string; readonly in?: { readonly entity: UidJson } };

/** The action part of a scope. */
export type ActionScopeJson =
  | { readonly op: 'All' }
  | { readonly op: '=='; readonly entity: UidJson }
  | { readonly op: 'in'; readonly entity: UidJson }
  | { readonly op: 'in'; readonly entities: readonly UidJson[] };

/** The name of an entity. */
export interface UidJson {
  readonly type: string;
  readonly id: string;
}

/** An expression: an object whose one key is the operator. Kept open here; the compiler takes it apart and refuses what it does not know. */
export type ExprJson = Readonly<Record<string, unknown>>;

/** What a policy uses that is not evaluated here. The loader gives it its place and makes a PolicyError of it. */
export class UnsupportedError extends Error {}

/**
 * A policy of Cedar's JSON format that comes from elsewhere. Its conditions are left open, as the parser's own are. @throws UnsupportedError for what
 * is none
 */
export function policyOf(node: unknown): PolicyJson {
  const { effect, principal, action, resource, conditions, annotations = {} } = fields(node);
  if (effect !== 'permit' && effect !== 'forbid')
    throw new UnsupportedError('an effect that is neither permit nor forbid');
  return {
    effect,
    principal: scopeJsonOf(principal),
    action: actionScopeOf(action),
    resource: scopeJsonOf(resource),
    conditions: listOf(conditions).map(({ kind, body }) => {
      if (kind !== 'when' && kind !== 'unless')
        throw new UnsupportedError('a condition that is neither when nor unless');
      return { kind, body: expressionOf(body) };
    }),
    annotations: Object.fromEntries(
      Object.entries(fields(annotations)).map(([name, value]) => {
        if (typeof value !== 'string' && value !== null) throw new UnsupportedError('an annotation that is no text');
        return [name, value];
      }),
    ),
  };
}

function scopeJsonOf(node: unknown): ScopeJson {
  const { op, entity, entity_type: type, in: place } = fields(node);
  switch (op) {
    case 'All':
      return { op };
    case '==':
    case 'in':
      return { op, entity: uidOf(entity) };
    case 'is':
      if (typeof type !== 'string') throw new UnsupportedError('a scope without its type');
      return {
        op,
        entity_type: type,
        ...(place === undefined ? {} : { in: { entity: uidOf(fields(place)['entity']) } }),
      };
    default:
      throw new UnsupportedError('a scope of an unknown kind');
  }
}

function actionScopeOf(node: unknown): ActionScopeJson {
  const { op, entities } = fields(node);
  if (op === 'in' && entities !== undefined) return { op, entities: listOf(entities).map(uidOf) };
  const scope = scopeJsonOf(node);
  if (scope.op === 'is') throw new UnsupportedError('actions by type');
  return scope;
}

/** The entity that `{ type, id }` names. @throws UnsupportedError, as all below do for nodes that are none of Cedar's */
export function uidOf(node: unknown): UidJson {
  const { type, id } = fields(node);
  if (typeof type !== 'string' || typeof id !== 'string') throw new UnsupportedError('an entity without type and id');
  return { type, id };
}

/** The operand of an operator that takes one. */
export function argumentOf(operand: unknown): ExprJson {
  return expressionOf(fields(operand)['arg']);
}

/** Takes a node for an expression; which one it is shows when it is compiled. */
export function expressionOf(node: unknown): ExprJson {
  return fields(node);
}

/** Any object of the JSON policy format. */
export function fields(node: unknown): Readonly<Record<string, unknown>> {
  if (typeof node !== 'object' || node === null || Array.isArray(node))
    throw new UnsupportedError('an expression that is no object');
  return node as Readonly<Record<string, unknown>>; // An object that is no list is a record of unknowns.
}

/** The arguments of a function, or the elements of a set. */
export function listOf(node: unknown): readonly ExprJson[] {
  if (!Array.isArray(node)) throw new UnsupportedError('arguments that are no list');
  return node.map(expressionOf);
}

/** The names of a `has` path. */
export function namesOf(node: unknown): readonly string[] {
  if (!Array.isArray(node) || !node.every((name) => typeof name === 'string'))
    throw new UnsupportedError('an attribute path that is no list of names');
  return node;
}

/** The pieces of a `like` pattern: null is the wildcard. */
export function patternOf(node: unknown): readonly (string | null)[] {
  if (!Array.isArray(node)) throw new UnsupportedError('a pattern that is no list');
  return node.map((piece) => {
    if (piece === 'Wildcard') return null;
    const text = fields(piece)['Literal'];
    if (typeof text !== 'string') throw new UnsupportedError('a pattern with a piece that is no text');
    return text;
  });
}
