import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';
import { isOneLine } from '../model/index.ts';
import { parseDurationMs } from '../std/index.ts';
import type { ApprovalRule, Approver } from './types.ts';

/** What is declared of a rule. */
export const approvalRuleSpec = Type.Object(
  {
    approvers: Type.Optional(
      Type.Array(Type.String({ maxLength: 2100 }), {
        maxItems: 100,
        description:
          'Who may answer: `group:NAME`, `email:ADDRESS`, `person:ISSUER#SUBJECT`, `identity:SPIFFE-ID`, `operator`, or `owner`, whom the entries of the identity name. Without it: every person whom the policies of access let.',
      }),
    ),
    count: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 10, description: 'How many have to approve; 1 unless said.' }),
    ),
    for: Type.Optional(
      Type.String({
        maxLength: 16,
        description: 'How long an operation waits at most; `15m` unless said, `24h` at most.',
      }),
    ),
  },
  { additionalProperties: false },
);

/** What is wrong with a spec, each one sentence; empty: it is a rule. */
export function approvalRuleProblems(spec: unknown): readonly string[] {
  if (!Value.Check(approvalRuleSpec, spec))
    return ['a rule has approvers (a list of texts), count (1 to 10) and for (a time such as 15m), and nothing else'];
  const { approvers = ['owner'] } = spec;
  const forMs = forMsOf(spec);
  return [
    ...(approvers.length === 0 ? ['approvers is empty: leave it out, or name somebody'] : []),
    ...approvers.flatMap((text, n) =>
      approverOf(text) === undefined ? [`approvers/${n} names nobody in a way that is known`] : [],
    ),
    ...(forMs === undefined || forMs < FOR_MS_MIN || forMs > FOR_MS_MAX ? ['for is no time from 1s to 24h'] : []),
  ];
}

/** The rule that is declared so; undefined where it is none. */
export function parseApprovalRule(name: string, spec: unknown): ApprovalRule | undefined {
  if (approvalRuleProblems(spec).length > 0 || !Value.Check(approvalRuleSpec, spec)) return undefined;
  const { approvers = [], count = 1 } = spec;
  return { name, approvers: approvers.flatMap((text) => approverOf(text) ?? []), count, forMs: forMsOf(spec) ?? 0 };
}

function forMsOf({ for: text = '15m' }: Static<typeof approvalRuleSpec>): number | undefined {
  return parseDurationMs(text);
}

function approverOf(text: string): Approver | undefined {
  if (text === 'operator' || text === 'owner') return { kind: text };
  const at = text.indexOf(':');
  const [kind, name] = [text.slice(0, at), text.slice(at + 1)];
  if (name === '' || !isOneLine(name)) return undefined;
  return kind === 'group' || kind === 'email' || kind === 'person' || kind === 'identity' ? { kind, name } : undefined;
}

const FOR_MS_MIN = 1_000;
const FOR_MS_MAX = 86_400_000;
