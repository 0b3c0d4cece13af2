import type { SpiffeId } from '@countersign/sdk/identity';
import {
  type CompiledPolicies,
  type Demands,
  identityEntity,
  type PolicySource,
  partsOfId,
  type ResourceScope,
  writePermit,
} from '../../policy/index.ts';
import { sha256 } from '../../std/index.ts';
import { UsageError } from '../command.ts';
import type { AskedPolicies } from './declared-policies.ts';
import { namedActions } from './named-actions.ts';
import { NotAboutError, namedResource, protocolOfNamed } from './named-resource.ts';

/** Who is to be given what: by these a grant has its name, so that the same grant is one policy however often it is made. */
export interface Granted {
  readonly identity: SpiffeId;
  /** In order, each once. */
  readonly actions: readonly string[];
  readonly resource: ResourceScope;
}

/** Reads actions and a resource as an operator writes them. @throws UsageError */
export function parseGranted(
  words: { readonly identity: SpiffeId; readonly actions: readonly string[]; readonly resource: string },
  declared: Pick<AskedPolicies, 'targets' | 'specs'>,
): Granted {
  const found = words.actions.flatMap((word) => resourcesOfWord(word, words.resource, declared));
  const actions = Array.from(new Set(found.map(({ action }) => action))).sort();
  const scopes = new Map(found.map(({ scope }) => [JSON.stringify(scope), scope]));
  // A session is opened to a database, and what is in a target includes it.
  const whole = Array.from(scopes.values()).find((scope) => scope.op === 'in' && scope.type === 'Target');
  const [resource, ...others] = whole === undefined ? scopes.values() : [whole];
  if (resource === undefined || others.length > 0)
    throw new UsageError(`${actions.join(', ')} are about different things; grant them one by one`);
  return { identity: words.identity, actions, resource };
}

function resourcesOfWord(
  word: string,
  name: string,
  declared: Pick<AskedPolicies, 'targets' | 'specs'>,
): readonly { readonly action: string; readonly scope: ResourceScope }[] {
  const actions = namedActions(word, protocolOfNamed(name, declared));
  let refusal: NotAboutError | undefined;
  const found = actions.flatMap((action) => {
    try {
      const { part, column } = namedResource(name, { ...declared, action, isOfGroup: actions.length > 1 });
      if (column !== undefined)
        throw new UsageError(
          `${name}: a permit is of a whole table; columns are kept back by @mask, or by a condition`,
        );
      const scope: ResourceScope = 'op' in part ? part : { op: 'equals', type: part.type, id: part.id };
      return [{ action, scope }];
    } catch (error) {
      if (!(error instanceof NotAboutError)) throw error;
      refusal ??= error;
      return [];
    }
  });
  if (found.length === 0 && refusal !== undefined) throw refusal;
  return found;
}

/** `grant-web-select-orders-1f2e3d4c`: words for people, and a digest that makes it the name of this grant alone. */
export function grantName({ identity, actions, resource }: Granted): string {
  const digest = sha256(Buffer.from(JSON.stringify([identity.uri, actions, resource]))).toString('hex');
  const what = resource.op === 'any' || resource.op === 'is' ? '' : (partsOfId(resource.id).at(-1) ?? '');
  return ['grant', ...nameWords(identity.uri, actions, what), digest.slice(0, DIGEST_CHARS)].join('-');
}

/** Words of which an id is made: `web`, `select`, `orders`. */
export function nameWords(identity: string, actions: readonly string[], what: string): readonly string[] {
  const [first = ''] = actions;
  const doing = actions.length > 1 ? `${actions.length}-actions` : first.slice(first.indexOf(':') + 1);
  return [identity.slice(identity.lastIndexOf('/') + 1), doing, what].map(plainWord).filter((word) => word !== '');
}

/** Letters, digits and dashes of a name that somebody else may have chosen. */
function plainWord(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, WORD_CHARS_MAX)
    .replace(/^-+|-+$/g, '');
}

/** True of policies that `policy grant` has made, and nobody's files. */
export function isGrantName(name: string): boolean {
  return GRANT_NAME.test(name);
}

/** The text of a grant. */
export function writeGrant(
  granted: Granted,
  {
    demands,
    ...about
  }: { readonly demands: Demands; readonly expiresMs: number; readonly reason?: string | undefined },
): PolicySource {
  const name = grantName(granted);
  const { identity, actions, resource } = granted;
  return {
    name,
    text: writePermit({ id: name, ...about, demands, principal: identityEntity(identity), actions, resource }),
  };
}

/** Whoever has taken the name for something else keeps it. @throws UsageError */
export function checkName(compiled: CompiledPolicies, granted: Granted): void {
  const name = grantName(granted);
  const there = compiled.policies.filter(({ id, position }) => id === name || position.source === name);
  if (there.length === 0) return;
  const scopes = compiled.scopesOf(name);
  const [{ position } = { position: undefined }] = there;
  const isSame =
    there.length === 1 &&
    position?.source === name &&
    scopes?.principal.op === 'equals' &&
    scopes.principal.id === granted.identity.uri &&
    scopes.actions.toSorted().join() === granted.actions.join() &&
    JSON.stringify(scopes.resource) === JSON.stringify(granted.resource);
  if (isSame) return;
  throw new UsageError(
    `the name ${name} is taken by something else, at Policy ${position?.source} line ${position?.line}; nothing was granted`,
  );
}

const DIGEST_CHARS = 8;
/** Three of them, with the rest, are a name of at most 63 characters. */
const WORD_CHARS_MAX = 14;
const GRANT_NAME = /^grant-[a-z0-9-]*-[0-9a-f]{8}$/;
