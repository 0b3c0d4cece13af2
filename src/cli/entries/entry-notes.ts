import { attestors } from '../../attestation/attestors/registry.generated.ts';
import type { AttestorMember, SelectorDoubt } from '../../attestation/index.ts';
import { disputedAttributes, type IdentityAttributes, parseSelector } from '../../model/index.ts';
import { didYouMean } from '../../policy/index.ts';

/** An entry, as far as it matters here. */
export interface NotedEntry extends IdentityAttributes {
  readonly id: string;
  readonly spiffeId: string;
  readonly parentId: string;
  readonly selectors: readonly string[];
  readonly hint: string;
  /** `Infinity` for one that is yet to be made. */
  readonly createdAtS: number;
}

/** Something about an entry that is allowed, and likely not what is wanted. */
export interface EntryNote {
  /** Id of the entry. */
  readonly entry: string;
  /** One sentence, without a full stop. */
  readonly found: string;
  readonly remedy: string;
  /** It is so on this machine, and may be otherwise on another. */
  readonly isOfMachine: boolean;
}

/** Selectors of `about` that no process will ever show. `about` is some of the entries, or all. */
export function notesOnSelectors(
  about: readonly NotedEntry[],
  judge: typeof doubtAbout = doubtAbout,
): readonly EntryNote[] {
  return (
    about
      // What hangs below the server names nodes, whose facts are those of node attestors.
      .filter(({ parentId }) => !parentId.endsWith('/spire/server'))
      .flatMap(({ id, selectors }) =>
        selectors.flatMap((selector) => {
          const doubt = judge(selector);
          if (doubt === undefined) return [];
          const { why, isOfMachine } = doubt;
          return [
            {
              entry: id,
              isOfMachine,
              found: `${selector}: ${why}; entry ${id} holds for no process${isOfMachine ? ' here' : ''}`,
              remedy: isOfMachine ? OTHER_MACHINE : MEND,
            },
          ];
        }),
      )
  );
}

/**
 * Entries of `about` that give another identity to processes that one of `all` has too, because one's selectors are among the other's: which
 * of both a session has, and why. Nobody is told of what an operator has decided, by the hint `default`.
 */
export function notesOnOverlaps(about: readonly NotedEntry[], all: readonly NotedEntry[]): readonly EntryNote[] {
  const filed = new Map<string, NotedEntry[]>();
  for (const entry of all) {
    const key = keyOf(entry, entry.selectors[0]);
    filed.set(key, [...(filed.get(key) ?? []), entry]);
  }
  const wanted = new Set(about.map(({ id }) => id));
  const told = new Set<string>();
  const notes: EntryNote[] = [];
  for (const narrow of all)
    for (const wide of narrow.selectors.flatMap((selector) => filed.get(keyOf(narrow, selector)) ?? [])) {
      const pair = [narrow.id, wide.id].toSorted().join(' ');
      if (wide.spiffeId === narrow.spiffeId || told.has(pair) || !(wanted.has(wide.id) || wanted.has(narrow.id)))
        continue;
      if (!wide.selectors.every((selector) => narrow.selectors.includes(selector))) continue;
      told.add(pair);
      if (wide.hint === DEFAULT || narrow.hint === DEFAULT) continue;
      notes.push({ ...overlap(wide, narrow), entry: wanted.has(narrow.id) ? narrow.id : wide.id });
    }
  return notes;
}

/**
 * Identities of `about` of which several of `all` say different things: to policies they have none of these attributes. An entry that says nothing
 * of one differs as well.
 */
export function notesOnAttributes(about: readonly NotedEntry[], all: readonly NotedEntry[]): readonly EntryNote[] {
  const byIdentity = new Map<string, NotedEntry[]>();
  for (const entry of new Map([...all, ...about].map((one) => [one.id, one])).values())
    byIdentity.set(entry.spiffeId, [...(byIdentity.get(entry.spiffeId) ?? []), entry]);
  const told = new Set<string>();
  return about.flatMap(({ id, spiffeId }) => {
    const entries = byIdentity.get(spiffeId) ?? [];
    const disputed = disputedAttributes(entries);
    if (disputed.length === 0 || told.has(spiffeId)) return [];
    told.add(spiffeId);
    const names = entries.slice(0, NAMED_MAX).map((one) => one.id);
    const more = entries.length > names.length ? ` and ${entries.length - names.length} more` : '';
    const found = `entries ${names.join(', ')}${more} differ in ${disputed.join(', ')}; to policies ${spiffeId} has none of that`;
    return [{ entry: id, isOfMachine: false, found, remedy: AGREE }];
  });
}

function overlap(wide: NotedEntry, narrow: NotedEntry): Omit<EntryNote, 'entry'> {
  const [first, second] = [wide, narrow].toSorted(
    // As agents put them in order.
    (a, b) => a.createdAtS - b.createdAtS || (a.id < b.id ? -1 : 1),
  );
  const why =
    wide.createdAtS === narrow.createdAtS ? 'of two of one age it is the first by name' : 'it is the older one';
  return {
    isOfMachine: false,
    found: `a process with ${narrow.selectors.join(', ')} matches entry ${first?.id} and entry ${second?.id}; its sessions are of ${first?.spiffeId}, because ${why}`,
    remedy: 'Give the entry that is to be taken the hint `default`, or the other one a further selector.',
  };
}

function keyOf({ parentId }: NotedEntry, selector = ''): string {
  return `${parentId} ${selector}`;
}

/** What is odd about a selector in the form type:value. */
export function doubtAbout(text: string): SelectorDoubt | undefined {
  const selector = parseSelector(text);
  if (selector === undefined) return { why: 'it is not of the form type:value', isOfMachine: false };
  const { type, value } = selector;
  const members: readonly AttestorMember[] = attestors;
  const workload = members.find((member) => member.type === type && member.workload !== undefined)?.workload;
  if (workload !== undefined) return workload.doubt(value);
  if (OF_OTHERS.has(type) || members.some((member) => member.type === type)) return undefined;
  const types = members.filter((member) => member.workload !== undefined).map((member) => member.type);
  const hint = didYouMean(type, types);
  return {
    why: `no attestor gives selectors of type ${type}${hint === undefined ? '' : ` (${hint})`}`,
    isOfMachine: false,
  };
}

const MEND = 'Correct the selector, and apply the entry again.';
const OTHER_MACHINE = 'Correct the name or make the user; nothing, if it is one of another machine.';
const DEFAULT = 'default';
const AGREE = 'Say the same in all entries of the identity.';
const NAMED_MAX = 10;
/** What agents of SPIRE attest processes by, and what the server itself says of nodes. */
const OF_OTHERS: ReadonlySet<string> = new Set(['docker', 'k8s', 'systemd', 'windows', 'spiffe_id', 'countersign']);
