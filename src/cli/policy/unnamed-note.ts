import { type CompiledPolicies, didYouMean, type PartOfAccess, partsOfId } from '../../policy/index.ts';
import type { AskedPolicies } from './declared-policies.ts';

/**
 * What to say where no policy names the very thing that is asked about: which things there are only the target knows, so that a slip of the hand
 * would look like an answer. Undefined where one does, of whatever is in a place, and of what its target's declaration says is there.
 */
export function unnamedNote(
  { compiled, targets }: Pick<AskedPolicies, 'compiled' | 'targets'>,
  resource: PartOfAccess,
): string | undefined {
  if ('op' in resource && resource.op !== 'equals') return undefined;
  if (isDeclared(targets, resource.id)) return undefined;
  const named = new Set(compiled.names().entities.flatMap(({ type, id }) => (type === resource.type ? [id] : [])));
  if (named.has(resource.id)) return undefined;
  const word = resource.type.slice(resource.type.lastIndexOf(':') + 1).toLowerCase();
  const [name = '', ...above] = partsOfId(resource.id).toReversed();
  const beside = Array.from(named)
    .map((id) => partsOfId(id).toReversed())
    .filter(([, ...others]) => others.join('/') === above.join('/'))
    .map(([one = '']) => one)
    .sort();
  const near = didYouMean(name, beside) ?? didYouMean(resource.id, named);
  const listed = `${beside.slice(0, NAMES_MAX).join(', ')}${beside.length > NAMES_MAX ? ', …' : ''}`;
  const known = beside.length === 0 ? `they name no ${word} there` : `beside it they name ${listed}`;
  return `no policy names ${word} ${resource.id} (${near ?? known}); whether it is there only the target knows`;
}

/** As that, of a column, where policies name others of the same thing: what none of them names is masked for nobody. */
export function unnamedColumnNote(
  compiled: CompiledPolicies,
  resource: PartOfAccess,
  column: string | undefined,
): string | undefined {
  if (column === undefined || 'op' in resource) return undefined;
  const named = compiled.columnsNamed(resource);
  if (named.length === 0 || named.includes(column)) return undefined;
  const hint = didYouMean(column, named) ?? `they name ${named.slice(0, NAMES_MAX).join(', ')}`;
  return `no policy names column ${column} of ${resource.id} (${hint}); whether it is there only the target knows`;
}

/** A whole target, and what stands directly in one whose declaration names all of that. */
function isDeclared(targets: AskedPolicies['targets'], id: string): boolean {
  const [target = '', inside, ...more] = partsOfId(id);
  if (more.length > 0 || !targets.has(target)) return false;
  return inside === undefined || targets.get(target)?.includes(inside) === true;
}

/** A few lines. */
const NAMES_MAX = 20;
