import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';
import type { PolicyProblem } from './types.ts';

/** Failures of loading and checking policies. Deciding never fails: it refuses. */
export const errorTable = {
  ERR_POLICY_SYNTAX: {
    status: 422,
    exit: 'no',
    meaning: 'A policy text is not Cedar.',
    remedy: 'Correct the text at the line and column of the message.',
  },
  ERR_POLICY_INVALID: {
    status: 422,
    exit: 'no',
    meaning:
      'A policy does not fit the schema: an unknown type, action or attribute, or an expression of the wrong type.',
    remedy: 'Use the names and types of the policy reference; the message often suggests the right one.',
  },
  ERR_POLICY_TEMPLATE: {
    status: 422,
    exit: 'no',
    meaning: 'A policy is a template: its scope holds ?principal or ?resource.',
    remedy: 'Write one policy for each principal or resource, or name a group of them: nothing here links templates.',
  },
  ERR_POLICY_ANNOTATION: {
    status: 422,
    exit: 'no',
    meaning: 'An annotation is unknown, malformed, or can not apply where it stands.',
    remedy:
      'Use @id, @description, @reason, and on permits @mask, @derived, @limit, @record, @approval and @expires, in the forms of the policy reference.',
  },
  ERR_POLICY_NAME: {
    status: 422,
    exit: 'no',
    meaning:
      'A warning: a policy names a target, trust domain, identity or table that does not exist, so it, or that part of it, never applies.',
    remedy:
      'Correct the name, or declare what it names; until then a permit gives nothing, and a forbid or mask keeps nothing back.',
  },
  ERR_POLICY_EXPIRED: {
    status: 422,
    exit: 'no',
    meaning: "A warning: the time of a permit's @expires has come, so it allows nothing any more.",
    remedy: 'Remove the permit, or give it a later time.',
  },
  ERR_POLICY_APPROVAL: {
    status: 422,
    exit: 'no',
    meaning:
      'A warning: a permit wants an approval of the sessions themselves, which are not held, so they are refused.',
    remedy: 'Put @approval on permits for what is done in a session, and let the permit to connect go without.',
  },
  ERR_POLICY_DUPLICATE_ID: {
    status: 422,
    exit: 'no',
    meaning: 'Two policies, or two sources, have one name.',
    remedy: 'Give each policy its own @id: the ledger names policies by it.',
  },
  ERR_POLICY_LIMIT: {
    status: 422,
    exit: 'no',
    meaning: 'A policy text, or the set of policies, is larger or more deeply nested than is allowed.',
    remedy: 'Split the text, or use sets and groups instead of long chains of conditions.',
  },
  ERR_POLICY_UNSUPPORTED: {
    status: 422,
    exit: 'no',
    meaning: 'A policy uses something of Cedar that is not evaluated here.',
    remedy: 'Rewrite the policy without it; the message names what is meant.',
  },
  ERR_POLICY_PARSER: {
    status: 500,
    exit: 'internal',
    meaning: "Cedar's parser broke while it read policies; nothing was loaded, and the policies in force stay.",
    remedy: 'Restart the process, and report the policy text: limits should have refused it first.',
  },
  ERR_POLICY_SCHEMA: {
    status: 500,
    exit: 'internal',
    meaning: 'The schema fragments of the protocols do not fit together.',
    remedy: 'Correct the fragment that the message names: this is a fault of a protocol, not of a policy.',
  },
  ERR_POLICY_TEST: {
    status: 422,
    exit: 'no',
    meaning: 'A policy test case is malformed, or asks about something that is not in the schema.',
    remedy: 'Correct the case that the message names.',
  },
} as const satisfies ErrorTable;

/** A code of {@link errorTable}. */
export type PolicyErrorCode = keyof typeof errorTable;

/** Policies could not be loaded. `problems` holds every one that was found; code and message are those of the first. */
export class PolicyError extends CodedError<PolicyErrorCode> {
  readonly problems: readonly PolicyProblem[];

  constructor(
    code: PolicyErrorCode,
    message: string,
    options: { cause?: unknown; problems?: readonly PolicyProblem[] } = {},
  ) {
    super(code, message, options);
    this.problems = options.problems ?? [];
  }

  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
