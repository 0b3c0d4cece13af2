import type { Agent } from '@countersign/sdk/contract/gen/spire/api/types/agent_pb.ts';
import { formatFields, formatList, formatTimeS } from '../terminal/table.ts';
import { idText } from './entry-text.ts';
import type { NodeAlias } from './node-aliases.ts';

/** The node as it is shown with `--json`. */
export function nodeValue(node: Agent) {
  return {
    id: idText(node.id),
    attestation: node.attestationType,
    serial: node.x509svidSerialNumber,
    expiresAtS: Number(node.x509svidExpiresAt),
    selectors: node.selectors.map(({ type, value }) => `${type}:${value}`),
    banned: node.banned,
    canReattest: node.canReattest,
    version: node.agentVersion,
  };
}

/** Nodes for a person. */
export function formatNodes(nodes: readonly Agent[], columns: number): string {
  const rows = nodes
    .map(nodeValue)
    .map((node) => [
      node.id,
      node.attestation,
      node.banned ? 'banned' : formatTimeS(node.expiresAtS),
      node.version || '-',
    ]);
  return formatList(['node', 'attestation', 'expires', 'version'], rows, columns);
}

/** One node for a person, with its aliases. */
export function formatNode(node: Agent, aliases: readonly NodeAlias[], columns: number): string {
  const value = nodeValue(node);
  return formatFields(
    [
      ['node', value.id],
      ['attestation', value.attestation],
      ['state', value.banned ? 'banned' : 'attested'],
      ['serial', value.serial || '-'],
      ['expires', formatTimeS(value.expiresAtS)],
      ...(aliases.length === 0 ? [{ spiffeId: '-', entry: '' }] : aliases).map(
        ({ spiffeId, entry }, index): [string, string] => [
          index === 0 ? 'aliases' : '',
          entry === '' ? spiffeId : `${spiffeId} (entry ${entry})`,
        ],
      ),
      ['selectors', value.selectors.join(', ') || '-'],
      ['renews by', value.canReattest ? 'attesting again' : 'renewal'],
      ['version', value.version || '-'],
    ],
    columns,
  );
}
