import type { KindExamples } from '../../../testing/kind-examples.ts';

export const conformance: KindExamples = {
  good: [{}, { approvers: ['group:dba', 'owner'], count: 2, for: '10m' }, { approvers: ['operator'] }],
  bad: [
    { approvers: [] },
    { approvers: ['everybody'] },
    { approvers: ['group:'] },
    { count: 0 },
    { for: '2d' },
    { more: true },
  ],
};
