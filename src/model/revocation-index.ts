import type { Revocation, RevocationMode } from './revocations.ts';

/** What is known of a credential and of whoever uses it. What is left out is not known. */
export interface RevocationFacts {
  readonly spiffeId?: string | undefined;
  /** The entry that gave it. Not known: every revocation of an entry with that SPIFFE ID holds. */
  readonly entryId?: string | undefined;
  /** SPIFFE ID of the node whose agent it comes through; of an agent's own credential, its own. */
  readonly nodeId?: string | undefined;
  /** Without a start time that of any process with that number holds. */
  readonly process?: { readonly pid: number; readonly startTime?: string | undefined } | undefined;
  /** SHA-256 of its public key, as in `RevocationSubject`. */
  readonly thumbprint?: string | undefined;
  /** What the entries of the identity agree on: for a label whose members a server of an earlier version does not tell. */
  readonly labels?: readonly Readonly<Record<string, string>>[] | undefined;
  /** Who has signed in. */
  readonly person?: { readonly issuer: string; readonly subject: string } | undefined;
}

/** What all revocations that hold say together: the stricter wins. */
export interface RevocationVerdict {
  readonly mode: RevocationMode;
  /** Actions that all of them let pass. */
  readonly allow: readonly string[];
  readonly running: Revocation['running'];
  /** Those that hold, `revoked` first, then by sequence. */
  readonly revocations: readonly Revocation[];
}

/** The revocations that stand, to be asked at each use: its cost does not follow how many there are. */
export interface RevocationIndex {
  /** Undefined where none holds. */
  find(facts: RevocationFacts): RevocationVerdict | undefined;
}

/** Creates a {@link RevocationIndex}. */
export function createRevocationIndex(revocations: readonly Revocation[]): RevocationIndex {
  const byName = new Map<string, Revocation[]>();
  for (const revocation of revocations) {
    for (const name of namesOf(revocation)) {
      const others = byName.get(name);
      if (others === undefined) byName.set(name, [revocation]);
      else others.push(revocation);
    }
  }
  if (byName.size === 0) return { find: () => undefined };
  const hasLabels = revocations.some(({ subject }) => subject.kind === 'label');
  return {
    find(facts) {
      const found = new Set<Revocation>();
      const look = (name: string) => {
        for (const one of byName.get(name) ?? []) if (holds(one, facts)) found.add(one);
      };
      if (facts.spiffeId !== undefined) look(`identity ${facts.spiffeId}`);
      if (facts.entryId !== undefined) look(`entry ${facts.entryId}`);
      if (facts.nodeId !== undefined) look(`node ${facts.nodeId}`);
      const { person } = facts;
      if (person !== undefined) look(`person ${JSON.stringify([person.issuer, person.subject])}`);
      if (facts.thumbprint !== undefined) look(`key ${facts.thumbprint}`);
      for (const labels of hasLabels ? (facts.labels ?? []) : [])
        for (const [name, value] of Object.entries(labels)) look(`label ${JSON.stringify([name, value])}`);
      return found.size === 0 ? undefined : together([...found]);
    },
  };
}

/** By what it is looked for: whether it holds, is seen then. */
function namesOf({ subject, members = [] }: Revocation): readonly string[] {
  switch (subject.kind) {
    case 'identity':
      return [`identity ${subject.spiffeId}`];
    case 'entry':
      return [`entry ${subject.entryId}`, `identity ${subject.spiffeId}`];
    case 'node':
    case 'instance':
      return [`node ${subject.nodeId}`];
    case 'key':
      return [`key ${subject.thumbprint}`];
    case 'person':
      return [`person ${JSON.stringify([subject.issuer, subject.subject])}`];
    case 'label':
      return [
        `label ${JSON.stringify([subject.name, subject.value])}`,
        ...members.map((spiffeId) => `identity ${spiffeId}`),
      ];
    default:
      return subject satisfies never;
  }
}

function holds({ subject }: Revocation, { entryId, process }: RevocationFacts): boolean {
  switch (subject.kind) {
    case 'entry':
      return entryId === undefined || entryId === subject.entryId;
    case 'instance':
      return (
        process?.pid === subject.pid && (process.startTime === undefined || process.startTime === subject.startTime)
      );
    case 'identity':
    case 'node':
    case 'key':
    case 'label':
    case 'person':
      return true;
    default:
      return subject satisfies never;
  }
}

function together(found: readonly Revocation[]): RevocationVerdict {
  const revocations = found.toSorted(
    (one, other) => rank(one) - rank(other) || one.sequence - other.sequence || (one.id < other.id ? -1 : 1),
  );
  const [first, ...others] = revocations;
  const allow = (first?.allow ?? []).filter((action) => others.every((one) => one.allow.includes(action)));
  return {
    mode: first?.mode ?? 'revoked',
    allow,
    running: found.some(({ running }) => running === 'end') ? 'end' : 'keep',
    revocations,
  };
}

function rank({ mode }: Revocation): number {
  return mode === 'revoked' ? 0 : 1;
}
