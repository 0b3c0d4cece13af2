import { parseSpiffeId } from '@countersign/sdk/identity';
import type { AttestedNode, Selector } from '../../model/index.ts';
import type { NodeRow } from './migrations.ts';

/** The node that a row holds. */
export function nodeOf(row: NodeRow): AttestedNode {
  const selectors: [string, string][] = JSON.parse(row.selectors);
  return {
    spiffeId: parseSpiffeId(row.id),
    attestationType: row.attestation_type,
    serial: row.serial,
    notAfterS: row.not_after_s,
    newSerial: row.new_serial,
    newNotAfterS: row.new_not_after_s,
    selectors: selectors.map(([type, value]): Selector => ({ type, value })),
    reattestable: row.reattestable === 1,
    agentVersion: row.agent_version,
  };
}

/** The row that holds a node. */
export function rowOf(node: AttestedNode): NodeRow {
  return {
    id: node.spiffeId.uri,
    attestation_type: node.attestationType,
    serial: node.serial,
    not_after_s: node.notAfterS,
    new_serial: node.newSerial,
    new_not_after_s: node.newNotAfterS,
    selectors: JSON.stringify(node.selectors.map(({ type, value }) => [type, value])),
    reattestable: node.reattestable ? 1 : 0,
    agent_version: node.agentVersion,
  };
}
