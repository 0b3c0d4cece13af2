import type { TObject, TSchema } from 'typebox';
import type { PolicyLoader } from '../policy/index.ts';
import type { Member } from '../std/index.ts';
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
}

/** The rules of a kind. Messages never repeat values that could be secrets. */
export interface KindRules {
  /** Checks one spec, each problem one sentence; an empty list means valid. Whatever JSON it is given, it does not throw. */
  checkAlone(spec: unknown): readonly string[];
  /**
   * Checks all of the kind as they are to be, each of them valid alone: a problem for whatever would make a gateway, or who else lives by them, refuse
   * the set. Those that somebody has just declared come last, so of two that do not go together the later one is to blame.
   */
  checkTogether?(own: readonly Resource[]): readonly Omit<Problem, 'kind'>[];
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
