import type { RevocationFacts } from '../model/index.ts';

/**
 * How a held operation stands. `waiting`: nobody has answered, or not enough have. `approved`: it may run, once. `spent`: that one use was taken.
 * `expired`: its time was over before. `withdrawn`: nobody waits for it any more.
 */
export type HoldState = 'waiting' | 'approved' | 'denied' | 'expired' | 'withdrawn' | 'spent';

/** One process of a gateway, as its connection and itself say. */
export interface HoldingGateway {
  readonly spiffeId: string;
  readonly address: string;
  readonly instance: string;
}

/** What a gateway asks. */
export interface AskedHold {
  /** 16 random bytes in hex: one held operation. */
  readonly hold: string;
  /** Canonical JSON, `countersign-approval/v1`: the answer is bound to its SHA-256. */
  readonly subject: Uint8Array;
  /** JSON for people, whose SHA-256 is in the subject. */
  readonly shown: Uint8Array;
}

/** What a gateway is told of a hold. */
export interface HoldTold {
  /** Of the approval, by which people find it. */
  readonly id: string;
  readonly state: HoldState;
  /** Epoch milliseconds by the clock of the database: after it nobody can answer. */
  readonly untilMs: number;
  /** How far off that was when it was read, milliseconds. */
  readonly leftMs: number;
  /** Of one that was denied or withdrawn. */
  readonly reason: string;
}

/** One of those who may answer by a rule. */
export type Approver =
  | { readonly kind: 'group' | 'email' | 'person' | 'identity'; readonly name: string }
  /** Whoever has the operator's socket, or came by a one-time link that such a one made. */
  | { readonly kind: 'operator' }
  /** Whom the entries of the identity that asks name as its owner: a group, an e-mail address or a name. */
  | { readonly kind: 'owner' };

/** Who is asked, and for how long. */
export interface ApprovalRule {
  readonly name: string;
  /** Empty: whichever person the policies of access let answer. */
  readonly approvers: readonly Approver[];
  /** How many have to say yes. */
  readonly count: number;
  /** How long a question waits; time that is over means no. */
  readonly forMs: number;
}

/** Who answers, as the door has made sure of. */
export interface Answerer {
  /** As the ledger has it. */
  readonly name: string;
  readonly kind: 'person' | 'operator' | 'identity' | 'node';
  readonly groups: readonly string[];
  readonly email: string | undefined;
  /** By a one-time link. */
  readonly byLink: boolean;
}

export interface AskedAnswer {
  readonly id: string;
  readonly target: string;
  /** SHA-256 of the subject in hex, of what was seen. */
  readonly digest: string;
  readonly answer: 'approve' | 'deny';
  /** One line, which the client of a denied operation is told. */
  readonly reason: string;
  /** To how many equal operations it is given at most, this one and the oldest of those that wait. */
  readonly equals: number;
  readonly by: Answerer;
}

/** An answer that was given. */
export interface GivenAnswer {
  readonly by: string;
  readonly answer: 'approve' | 'deny';
  readonly atMs: number;
  readonly reason: string;
}

/** An approval, as people see it. */
export interface Approval {
  readonly id: string;
  /** Its place among all: grows. */
  readonly number: number;
  readonly state: HoldState;
  readonly digest: string;
  readonly identity: string;
  readonly target: string;
  readonly session: string;
  /** What it is, in one line, as the gateway says. */
  readonly title: string;
  readonly gateway: string;
  readonly rules: readonly RuleTally[];
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly reason: string;
  readonly answers: readonly GivenAnswer[];
  /** How many equal ones wait, this one included; of one that waits. */
  readonly equals: number;
}

/** With all that somebody has to see who answers it. */
export interface WholeApproval extends Approval {
  /** The whole question, as the gateway said it. */
  readonly subject: Readonly<Record<string, unknown>>;
  readonly shown: Readonly<Record<string, unknown>>;
}

/** How far one of the rules is. */
export interface RuleTally {
  readonly name: string;
  /** Undefined: the rule is not declared any more, and nobody can answer. */
  readonly count: number | undefined;
  readonly approved: number;
}

export interface ApprovalFilter {
  readonly target: string;
  readonly identity: string;
}

/** What approvals know of the rest of the server. */
export interface ApprovalSurroundings {
  readonly rules: (name: string) => ApprovalRule | undefined;
  /** Whether a target of that name is declared. */
  readonly hasTarget: (name: string) => boolean;
  /** Whom the entries of an identity agree on as its owner. */
  readonly ownerOf: (spiffeId: string) => string | undefined;
  /** Why each of them may not act at this moment, by what the store has after the call; undefined of those that may. @throws StoreError */
  readonly revoked: (subjects: readonly RevocationFacts[]) => Promise<readonly (string | undefined)[]>;
  /** Calls after each change of what is revoked. Returns how to stop. */
  readonly onRevoked: (listener: () => void) => () => void;
  /** Processes of gateways that are connected, to any server. */
  readonly gateways: () => Promise<readonly HoldingGateway[]>;
  /** Signs a statement of that type. @throws AuthorityError */
  readonly sign: (statement: {
    readonly type: string;
    readonly claims: { readonly [name: string]: string | number | readonly string[] };
  }) => Promise<string>;
}

/** What an answer did. */
export interface AnsweredApproval {
  readonly id: string;
  readonly state: HoldState;
  /** How many operations it was given to. */
  readonly answered: number;
}
