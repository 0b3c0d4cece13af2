/**
 * The kind `ApprovalRule`: whom operations wait for that a permit holds by `@approval`.
 *
 * It promises that what it takes is a rule by which somebody can be asked. It must not know who is asked, nor of what.
 */
import { approvalRuleProblems, approvalRuleSpec } from '../../../approval/index.ts';
import type { KindMember } from '../../kind.ts';

export const member: KindMember = {
  kind: 'resource-kind',
  id: 'approval-rule',
  summary: 'Says who may approve what a permit holds, how many of them, and for how long it waits.',
  config: approvalRuleSpec,
  open: () => ({ checkAlone: approvalRuleProblems }),
};
