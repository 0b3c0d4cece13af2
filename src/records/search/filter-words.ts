import type { TrustDomain } from '@countersign/sdk/identity';
import { type Static, Type } from 'typebox';
import { identityNamed, type RecordFilter } from './filter.ts';

/** Most that a number of the record is. */
export const COUNT_MAX = 999_999_999_999_999;

const text = (description: string) => Type.Optional(Type.String({ minLength: 1, maxLength: 512, description }));
const count = (description: string) => Type.Optional(Type.Integer({ minimum: 0, maximum: COUNT_MAX, description }));

/** What entries are asked for by, wherever somebody asks: over REST and of a sink. */
export const filterFields = {
  identity: text('Whose: a SPIFFE ID, or the path of one in the trust domain of the server.'),
  node: text('The node whose agent vouched for the process behind a session, as `identity`.'),
  ...{
    target: text('Which target.'),
    action: text('What was done, as the protocol names it.'),
    session: text('Of one session.'),
  },
  kind: text('Such as `denial`.'),
  object: text('What was reached, by the last parts of its name: `public.customers`.'),
  column: text('What was read, written or masked of it.'),
  policy: text('Which policy allowed or refused it.'),
  ...{ reason: text('Why it was refused.'), status: text('How it ended, such as `failed`.') },
  shape: text('Operations that differ in values only.'),
  code: text("The protocol's own code."),
  masked: Type.Optional(Type.Boolean({ description: 'True: only what was masked.' })),
  ...{ rowsMin: count('Rows of the answer, at least.'), rowsMax: count('Rows of the answer, at most.') },
  ...{ bytesMin: count('Bytes of the answer, at least.'), bytesMax: count('Bytes of the answer, at most.') },
  sinceMs: count('Not before: epoch milliseconds by the clock of the writer.'),
  untilMs: count('Not after.'),
  log: Type.Optional(Type.Integer({ minimum: 1, maximum: 999_999_999, description: 'Of one log.' })),
};

/** The words as a closed object, for the configuration of sinks. */
export const recordFilterSchema = Type.Object(filterFields, { additionalProperties: false });

/** The filter that is meant by the words. */
export function filterOf(asked: Static<typeof recordFilterSchema>, trustDomain: TrustDomain): RecordFilter {
  const { identity, node, ...rest } = asked;
  const idOf = (name: string | undefined) => (name === undefined ? name : identityNamed(name, trustDomain));
  return { ...rest, actor: idOf(identity), node: idOf(node) };
}
