import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  GatewayState as GatewayStateMessage,
  type GatewayStatusSchema,
  type ReportGatewayRequest,
} from '@countersign/sdk/contract/gen/countersign/control/v1/control_pb.ts';
import {
  type FindingSeverity,
  type GatewayFinding,
  type GatewayReport,
  type GatewayState,
  gatewayStateNumbers,
  reportLimits,
} from '../../model/index.ts';
import type { ReportedGateway } from '../../resources/index.ts';
import { invalid } from '../status.ts';

/**
 * What a gateway says, which others will read on their terminals: within {@link reportLimits}, each text one line. @throws RpcError
 * INVALID_ARGUMENT
 */
export function parseReport({ revision, findings, state }: ReportGatewayRequest): GatewayReport {
  if (revision > Number.MAX_SAFE_INTEGER) throw invalid(`there is no revision ${revision}`);
  if (findings.length > reportLimits.findings)
    throw invalid(`a gateway reports ${reportLimits.findings} findings at most`);
  return {
    revision: Number(revision),
    findings: findings.map(
      ({ condition, severity, what, found, remedy }): GatewayFinding => ({
        condition: parseText('condition', condition),
        severity: parseSeverity(severity),
        what: parseText('what', what),
        found: parseText('found', found),
        remedy: parseText('remedy', remedy),
      }),
    ),
    state: parseState(state),
  };
}

/** A gateway that says nothing of it, or what is not known here, is one that serves. */
export function parseState(state: GatewayStateMessage): GatewayState {
  switch (state) {
    case GatewayStateMessage.STARTING:
      return 'starting';
    case GatewayStateMessage.LEAVING:
      return 'leaving';
    default:
      return 'serving';
  }
}

/** What a gateway calls itself; older ones say nothing. @throws RpcError INVALID_ARGUMENT */
export function parseInstance(text: string): string {
  if (/^[A-Za-z0-9_-]{0,64}$/.test(text)) return text;
  throw invalid('the instance of a gateway has 64 letters, digits, dashes and underscores at most');
}

/** As operators are told of it. */
export function gatewayStatus(gateway: ReportedGateway): MessageInitShape<typeof GatewayStatusSchema> {
  const { spiffeId, address, connected, sinceMs, state, report, findingsLeftOut } = gateway;
  return {
    ...{ spiffeId, address, connected, findingsLeftOut, state: gatewayStateNumbers[state] },
    since: BigInt(Math.floor(sinceMs / 1000)),
    revision: BigInt(report?.revision ?? 0),
    findings: report?.findings.map((finding) => ({ ...finding })) ?? [],
  };
}

function parseText(name: Exclude<keyof typeof reportLimits, 'findings'>, text: string): string {
  if (text.length > reportLimits[name])
    throw invalid(`${name} of a finding has ${reportLimits[name]} characters at most`);
  if (/[\p{Cc}\u2028\u2029]/u.test(text)) throw invalid(`${name} of a finding is one line, without control characters`);
  return text;
}

function parseSeverity(text: string): FindingSeverity {
  if (text === 'failed' || text === 'degraded' || text === 'warning') return text;
  throw invalid('the severity of a finding is failed, degraded or warning');
}
