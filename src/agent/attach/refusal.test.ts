import { create, toBinary } from '@bufbuild/protobuf';
import {
  PermissionDeniedDetailsSchema,
  PermissionDeniedDetails_Reason as Reason,
} from '@countersign/sdk/contract/gen/spire/api/types/status_pb.ts';
import { describe, expect, it } from 'vitest';
import { Code, RpcError } from '../../rpc/index.ts';
import { AgentError } from '../errors.ts';
import { isUnreachable, judgeRefusal } from './refusal.ts';

function denied(reason: Reason, code: RpcError['code'] = Code.PERMISSION_DENIED): RpcError {
  const value = toBinary(PermissionDeniedDetailsSchema, create(PermissionDeniedDetailsSchema, { reason }));
  return new RpcError(code, 'no', { details: [{ typeName: PermissionDeniedDetailsSchema.typeName, value }] });
}

describe('what a refusal asks of the agent', () => {
  it.each([
    [Reason.AGENT_EXPIRED, 'expired'],
    [Reason.AGENT_NOT_ACTIVE, 'reattest'],
    [Reason.AGENT_NOT_ATTESTED, 'reattest'],
    [Reason.AGENT_MUST_REATTEST, 'reattest'],
    [Reason.AGENT_BANNED, 'banned'],
    [Reason.UNKNOWN, 'retry'],
    [99, 'retry'],
  ] as const)('reason %i means %s', (reason, expected) => {
    expect(judgeRefusal(denied(reason as Reason))).toBe(expected); // 99: what a newer server may say.
  });

  it('never throws an identity away for the bare code, other codes or other errors', () => {
    expect(judgeRefusal(new RpcError(Code.PERMISSION_DENIED, 'no'))).toBe('retry');
    expect(judgeRefusal(denied(Reason.AGENT_BANNED, Code.UNAVAILABLE))).toBe('retry');
    expect(judgeRefusal(new Error('AGENT_BANNED'))).toBe('retry');
  });

  it('retries when the details can not be read', () => {
    const details = [{ typeName: PermissionDeniedDetailsSchema.typeName, value: Buffer.from('ff', 'hex') }];
    expect(judgeRefusal(new RpcError(Code.PERMISSION_DENIED, 'no', { details }))).toBe('retry');
  });

  it('takes only a server that did not answer at all for unreachable', () => {
    const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' });
    expect(isUnreachable(new RpcError(Code.UNAVAILABLE, '', { cause: refused }))).toBe(true);
    expect(isUnreachable(new RpcError(Code.UNAVAILABLE, 'overloaded'))).toBe(false);
    const crowdedOut = Object.assign(new Error('read'), { code: 'ECONNRESET' });
    expect(isUnreachable(new RpcError(Code.UNAVAILABLE, '', { cause: crowdedOut }))).toBe(false);
    const impostor = new AgentError('ERR_AGENT_SERVER_IDENTITY', 'another');
    expect(isUnreachable(new RpcError(Code.UNAVAILABLE, '', { cause: impostor }))).toBe(false);
    expect(isUnreachable(new RpcError(Code.INTERNAL, '', { cause: refused }))).toBe(false);
  });
});
