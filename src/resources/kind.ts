import type { Kysely } from 'kysely';
import type { TObject, TSchema } from 'typebox';
import { Value } from 'typebox/value';
import type { PolicyLoader } from '../policy/index.ts';
import type { Registration } from '../registration/index.ts';
import type { Member } from '../std/index.ts';
import type { TransactionEffects } from '../store/index.ts';
import type { Problem, Resource } from './types.ts';

/** A protocol, as far as what is declared goes by it. */
export interface DeclaredProtocol {
  readonly id: string;
  /** Of a target's settings: a closed object. */
  readonly config: TObject;
  /** What its schema can't say, each one sentence; none: it can be used. */
  checkConfig(config: unknown): readonly string[];
}

/** What the schema of a spec may go by. */
export interface KindWords {
  readonly protocols: readonly DeclaredProtocol[];
}

/** What the rules of a kind work with. */
export interface KindDeps extends KindWords {
  /** What gateways read policies with. It remembers what it has seen, and is shared. */
  readonly policies: PolicyLoader;
  /** Whose rows entries are. */
  readonly entries: Pick<Registration, 'declare' | 'entriesIn'>;
  readonly trustDomain: string;
}

/** A resource without its kind. */
export type Named = Pick<Resource, 'name' | 'spec'>;

/** Who keeps the rows of a kind that are not among those of resources. All that is given was checked alone. */
export interface KindKeeper {
  /** Those of the names that are there, as that transaction sees them, each with what grows with each change of it. */
  read(
    trx: Kysely<unknown>,
    names: readonly string[],
  ): Promise<ReadonlyMap<string, { readonly spec: unknown; readonly version: number }>>;
  /**
   * Writes in that transaction, which is undone when there are problems. `committed` is to be called once it has been: it resolves when this process shows
   * it. May be called again when the transaction runs again. Throws what its feature throws.
   */
  write(
    trx: Kysely<unknown>,
    effects: TransactionEffects,
    changes: { readonly put: readonly Named[]; readonly remove: readonly string[] },
  ): Promise<{ readonly problems: readonly Omit<Problem, 'kind'>[]; committed(): Promise<void> }>;
}

/** The rules of a kind. Messages never repeat values that could be secrets. */
export interface KindRules {
  /** What its names are, where they are not as others; `says` goes on after "the name must be". */
  readonly names?: { readonly pattern: RegExp; readonly says: string };
  /** Checks one spec, each problem one sentence; an empty list means valid. Whatever JSON it is given, it does not throw. */
  checkAlone(spec: unknown): readonly string[];
  /**
   * Checks all of the kind as they are to be, each of them valid alone: a problem for whatever would make a gateway, or who else lives by them, refuse
   * the set. Those that somebody has just declared come last, so of two that do not go together the later one is to blame.
   */
  checkTogether?(own: readonly Resource[]): readonly Omit<Problem, 'kind'>[];
  /** What is declared with those without being said. */
  besides?(own: readonly Named[]): readonly Named[];
  /** How two specs differ, a line each for people; undefined: there is none. Two that are there and do not differ are equal. Unless it is there, place by place. */
  differences?(before: unknown, after: unknown): readonly string[];
  /** Where rows of this kind are not kept with the others. Nothing of it is pruned then. */
  readonly keeper?: KindKeeper;
}

/**
 * A kind of declared resource: the port of `kinds/<id>/`. What is declared of it is applied, planned, compared, listed and pruned like any other; over REST
 * it has `<id>.list` and `<id>.get`. In files and plans it is called by {@link kindName}.
 *
 * Duties of a member: its checks go by what they are given, need no clock and nothing that has to be waited for; what they take, whoever uses the
 * resource can use; specs hold references to secrets, never secrets.
 */
export interface KindMember extends Member {
  readonly kind: 'resource-kind';
  /** Its spec, for the reference page; closed, unless {@link schemaOf} says more of each. */
  readonly config: TObject;
  /** Many of it, in the path of its endpoints; unless it is said, the id with an s. */
  readonly plural?: string;
  /** It has a keeper, whose feature offers its own endpoints. */
  readonly isKeptElsewhere?: boolean;
  /** Its answers over REST have the fields of a spec beside the name, not in a field `spec`. */
  readonly isFlat?: boolean;
  /** Keys that a document in a file may have beside `kind`, `name` and `spec`; they are no part of what is applied. */
  readonly beside?: Readonly<Record<string, TSchema>>;
  /** What such a spec is held against in a file, where the config does not say it all. */
  schemaOf?(spec: unknown, words: KindWords): TObject;
  /** Its rules. Opens nothing that would have to be closed. */
  open(deps: KindDeps): KindRules;
}

/** A kind at work: its rules, by its name. */
export interface Kind extends KindRules {
  readonly name: string;
}

/** What a kind is called in files and plans: `ApprovalRule`, where its folder is `approval-rule`. */
export function kindName({ id }: Pick<KindMember, 'id'>): string {
  return id.replace(/(?:^|-)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** The rules of all kinds. */
export function openKinds(members: readonly KindMember[], deps: KindDeps): readonly Kind[] {
  return members.map((member) => ({ ...member.open(deps), name: kindName(member) }));
}

/** What is wrong with a spec by its schema, a sentence for each place; a member that has more to say calls it first. */
export function specProblems(config: TObject, spec: unknown): readonly string[] {
  const problems = Value.Errors(config, spec).map(({ instancePath, message }) => `${instancePath}: ${message}`);
  // Of a key that is not known both are told: that its schema is false, and where it is one too many.
  return problems.filter((problem) => !problem.endsWith(': schema is false')).slice(0, PROBLEMS_MAX);
}

/** A screenful. */
const PROBLEMS_MAX = 20;
