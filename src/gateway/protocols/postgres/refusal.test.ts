import { expect, test } from 'vitest';
import { GatewayError } from '../../errors.ts';
import { targetError } from './refusal.ts';

// Goal: a client is told what is the matter with its target, in the SQLSTATE that drivers act on, and nothing that the target said.

const refusedBy = (code: 'ERR_GATEWAY_TARGET_AWAY' | 'ERR_GATEWAY_TARGET_LOGIN', sqlstate: string) =>
  targetError(
    'db',
    new GatewayError(code, 'hunter2', { cause: Object.assign(new Error('hunter2'), { code: sqlstate }) }),
  );

test.each([
  ['ERR_GATEWAY_TARGET_AWAY', '3D000', '3D000', 'target db has no such database'],
  ['ERR_GATEWAY_TARGET_AWAY', '53300', '53300', 'target db has too many connections already'],
  [
    'ERR_GATEWAY_TARGET_AWAY',
    '57P03',
    '57P03',
    'target db takes no connections now: it is starting up, or being stopped',
  ],
  ['ERR_GATEWAY_TARGET_AWAY', 'ECONNREFUSED', '08006', 'target db can not be reached at the moment'],
  ['ERR_GATEWAY_TARGET_LOGIN', '28P01', '28P01', 'the gateway could not log in to target db'],
  ['ERR_GATEWAY_TARGET_LOGIN', '28000', '28000', 'the gateway could not log in to target db'],
] as const)('%s for %s is told as %s: %s', (code, from, sqlstate, message) => {
  const told = refusedBy(code, from);
  expect(told).toMatchObject({ severity: 'FATAL', sqlstate, message });
  expect(told.hint).toMatch(/\.$/);
  expect(JSON.stringify(told)).not.toContain('hunter2');
});
