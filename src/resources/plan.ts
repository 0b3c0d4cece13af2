import { compareJson, differencesOf } from './differences.ts';
import type { Change, Problem, Resource, ResourceKind, ValidateResource } from './types.ts';

/** What is wrong with the resources, one by one and together; empty when nothing is. */
export function problemsOf(resources: readonly Resource[], validate: ValidateResource): readonly Problem[] {
  const seen = new Set<string>();
  return resources.flatMap(({ kind, name, spec }) => {
    const messages: string[] = [];
    if (!isKind(kind)) return [{ kind, name, message: 'the kind must be Target or Policy' }];
    if (!NAME.test(name)) {
      messages.push('the name must be 1 to 63 lower-case letters, digits and dashes, starting with a letter');
    }
    const key = keyOf(kind, name);
    if (seen.has(key)) messages.push('it is declared twice');
    seen.add(key);
    const bytes = Buffer.byteLength(JSON.stringify(spec) ?? '');
    if (bytes === 0 || bytes > SPEC_BYTES_MAX)
      messages.push(`its spec has ${bytes} bytes, allowed are 1 to ${SPEC_BYTES_MAX}`);
    else messages.push(...validate(kind, name, spec));
    return messages.map((message) => ({ kind, name, message }));
  });
}

/** What turns `present` into `declared`, ordered by kind and name; without `prune`, what is not declared stays. */
export function changesBetween(
  present: readonly Resource[],
  declared: readonly Resource[],
  options: { prune: boolean },
): readonly Change[] {
  const before = new Map(present.map((resource) => [keyOf(resource.kind, resource.name), resource]));
  const changes = declared.map(({ kind, name, spec }): Change => {
    const old = before.get(keyOf(kind, name));
    before.delete(keyOf(kind, name));
    if (!old) return { kind, name, action: 'create', differences: differencesOf(undefined, spec) };
    if (compareJson(old.spec, spec)) return { kind, name, action: 'unchanged', differences: [] };
    return { kind, name, action: 'update', differences: differencesOf(old.spec, spec) };
  });
  if (options.prune) {
    for (const { kind, name, spec } of before.values()) {
      changes.push({ kind, name, action: 'delete', differences: differencesOf(spec, undefined) });
    }
  }
  return changes.sort((a, b) => compareText(a.kind, b.kind) || compareText(a.name, b.name));
}

/** One text for each resource. */
export function keyOf(kind: ResourceKind, name: string): string {
  return `${kind}/${name}`;
}

export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Callers over the network may say anything. */
function isKind(kind: string): kind is ResourceKind {
  return kind === 'Target' || kind === 'Policy';
}

/** A DNS label (RFC 1035 §2.3.1): names become folder names and host names. */
const NAME = /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;
/** Room for a policy of the largest size that the policy language takes. */
const SPEC_BYTES_MAX = 1_200_000;
