import { ResourcesError } from '../errors.ts';
import type { Kind } from '../kind.ts';
import type { Change, Plan, PlanOptions, Problem, Resource, ResourceKind, Snapshot } from '../types.ts';
import { compareJson, differencesOf } from './differences.ts';

/**
 * What becomes of `present` when `declared`, each valid alone, is applied: refused when gateways would refuse the outcome.
 * @throws ResourcesError ERR_RESOURCES_LIMIT, ERR_RESOURCES_CHANGED
 */
export function planOf(
  present: Snapshot,
  declared: readonly Resource[],
  options: PlanOptions & { readonly kinds: readonly Kind[] },
): Plan {
  if (options.ifRevision !== undefined && options.ifRevision !== present.revision)
    throw new ResourcesError('ERR_RESOURCES_CHANGED', 'targets or policies were changed meanwhile; nothing was done');
  const before = present.resources;
  const changes = changesBetween(before, declared, options);
  // Taking away makes no set worse, and must be possible when the one that is there is bad, however it came to be.
  const grown = new Set(
    changes.filter(({ action }) => action === 'create' || action === 'update').map(({ kind }) => kind),
  );
  if (grown.size > 0) {
    const after = outcomeOf(before, declared, { changes });
    checkSize(after);
    const problems = togetherProblems(
      after.filter(({ kind }) => grown.has(kind)),
      options.kinds,
    );
    if (problems.length > 0) return { ok: false, problems };
  }
  return { ok: true, changes, revision: present.revision };
}

/** What is wrong with the resources together, kind by kind; what stays should come first in each. */
export function togetherProblems(resources: readonly Resource[], kinds: readonly Kind[]): readonly Problem[] {
  return kinds.flatMap(({ name, checkTogether }) => {
    const own = resources.filter(({ kind }) => kind === name);
    return own.length === 0 ? [] : (checkTogether?.(own) ?? []).map((problem) => ({ kind: name, ...problem }));
  });
}

/** What is wrong with the resources one by one; empty when nothing is. */
export function problemsOf(resources: readonly Resource[], kinds: readonly Kind[]): readonly Problem[] {
  const seen = new Set<string>();
  return resources.flatMap(({ kind, name, spec }) => {
    const messages: string[] = [];
    const rules = kinds.find((one) => one.name === kind);
    if (!rules) return [{ kind, name, message: `the kind must be ${anyOf(kinds.map((one) => one.name))}` }];
    if (!NAME.test(name)) {
      messages.push('the name must be 1 to 63 lower-case letters, digits and dashes, starting with a letter');
    }
    const key = keyOf(kind, name);
    if (seen.has(key)) messages.push('it is declared twice');
    seen.add(key);
    const bytes = Buffer.byteLength(JSON.stringify(spec) ?? '');
    if (bytes === 0 || bytes > SPEC_BYTES_MAX)
      messages.push(`its spec has ${bytes} bytes, allowed are 1 to ${SPEC_BYTES_MAX}`);
    else messages.push(...rules.checkAlone(spec));
    return messages.map((message) => ({ kind, name, message }));
  });
}

/** What turns `present` into `declared`, ordered by kind and name; what is not declared stays, but for what is to go. */
function changesBetween(
  present: readonly Resource[],
  declared: readonly Resource[],
  { prune, remove = [] }: Pick<PlanOptions, 'prune' | 'remove'>,
): readonly Change[] {
  const before = new Map(present.map((resource) => [keyOf(resource.kind, resource.name), resource]));
  const changes = declared.map(({ kind, name, spec }): Change => {
    const old = before.get(keyOf(kind, name));
    before.delete(keyOf(kind, name));
    if (!old) return { kind, name, action: 'create', differences: differencesOf(undefined, spec) };
    if (compareJson(old.spec, spec)) return { kind, name, action: 'unchanged', differences: [] };
    return { kind, name, action: 'update', differences: differencesOf(old.spec, spec) };
  });
  const going = new Set(remove.map(({ kind, name }) => keyOf(kind, name)));
  for (const { kind, name, spec } of before.values()) {
    if (!prune && !going.has(keyOf(kind, name))) continue;
    changes.push({ kind, name, action: 'delete', differences: differencesOf(spec, undefined) });
  }
  changes.sort((a, b) => compareText(a.kind, b.kind) || compareText(a.name, b.name));
  return withinRoom(changes);
}

/** One message tells all changes: beyond what it holds, it is said that there are differences, not which. */
function withinRoom(changes: readonly Change[]): readonly Change[] {
  let room = DIFFERENCES_BYTES_MAX;
  return changes.map((change) => {
    if (change.differences.length === 0) return change;
    for (const line of change.differences) room -= Buffer.byteLength(line) + LINE_FRAMING_BYTES;
    return room >= 0 ? change : { ...change, differences: ['… not shown: this plan is too long'] };
  });
}

/**
 * All resources as they will be: those that stay as they are, then those that are made or changed, both ordered by name. So where two do
 * not go together the later one, which is blamed, is one that somebody has just declared.
 */
function outcomeOf(
  present: readonly Resource[],
  declared: readonly Resource[],
  { changes }: { readonly changes: readonly Change[] },
): readonly Resource[] {
  const isDeclared = new Set(declared.map(({ kind, name }) => keyOf(kind, name)));
  const isUnchanged = new Set(
    changes.flatMap(({ action, kind, name }) => (action === 'unchanged' ? [keyOf(kind, name)] : [])),
  );
  const gone = new Set(changes.flatMap(({ action, kind, name }) => (action === 'delete' ? [keyOf(kind, name)] : [])));
  const kept = present.filter(({ kind, name }) => !isDeclared.has(keyOf(kind, name)) && !gone.has(keyOf(kind, name)));
  const [fresh = [], same = []] = [false, true].map((wanted) =>
    declared.filter(({ kind, name }) => isUnchanged.has(keyOf(kind, name)) === wanted),
  );
  const byName = (a: Resource, b: Resource) => compareText(a.name, b.name);
  return [...[...kept, ...same].sort(byName), ...fresh.sort(byName)];
}

/** @throws ResourcesError ERR_RESOURCES_LIMIT */
function checkSize(resources: readonly Resource[]): void {
  checkCount(resources);
  let bytes = 0;
  for (const { name, spec } of resources)
    bytes += Buffer.byteLength(JSON.stringify(spec)) + name.length + FRAMING_BYTES;
  if (bytes <= SET_BYTES_MAX) return;
  const message = `all resources together would have ${bytes} bytes, allowed are ${SET_BYTES_MAX}: gateways take no more`;
  throw new ResourcesError('ERR_RESOURCES_LIMIT', message);
}

/** @throws ResourcesError ERR_RESOURCES_LIMIT */
export function checkCount(resources: readonly Resource[]): void {
  const { length } = resources;
  if (length <= RESOURCES_MAX) return;
  throw new ResourcesError('ERR_RESOURCES_LIMIT', `${length} resources are too many, allowed are ${RESOURCES_MAX}`);
}

/** One text for each resource. */
export function keyOf(kind: ResourceKind, name: string): string {
  return `${kind}/${name}`;
}

export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** `Policy or Target`. */
export function anyOf(kinds: readonly ResourceKind[]): string {
  const last = kinds.at(-1) ?? 'none';
  return kinds.length < 2 ? last : `${kinds.slice(0, -1).join(', ')} or ${last}`;
}

/** A DNS label (RFC 1035 §2.3.1): names become folder names and host names. */
const NAME = /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;
/** Room for a policy of the largest size that the policy language takes. */
const SPEC_BYTES_MAX = 1_200_000;
/** Every gateway holds all of them; the policy engine takes 20,000 policies. */
const RESOURCES_MAX = 25_000;
/** A gateway is told all of them in one message, and takes 16 MiB in one; the CLI lists them in one as well. */
const SET_BYTES_MAX = 15 * 1024 * 1024;
/** Within the 16 MiB of a message, beside the names of as many resources as there may be. */
const DIFFERENCES_BYTES_MAX = 10 * 1024 * 1024;
/** What a line costs in a message beside its text. */
const LINE_FRAMING_BYTES = 4;
/** More than what a resource costs in a message beside name and spec. */
const FRAMING_BYTES = 32;
