import type { SpiffeId } from '@countersign/sdk/identity';
import type { Barred, CurrentRevocations, RevocationFacts } from '../../model/index.ts';
import { sha256 } from '../../std/index.ts';
import { parseCertificate } from '../../wire/x509/index.ts';

/** Who gets nothing of this agent any more. A quarantine is the gateways' to keep: identities are issued in it. */
export interface Revoked {
  /** What that entry gives, here. */
  entry(entry: { readonly id: string; readonly spiffeId: SpiffeId }): boolean;
  /** The key of that certificate: its entry gets another one. */
  svid(svid: { readonly chainDer: readonly Buffer[] }): boolean;
  /** A gateway, by what it has proven: no link goes there. */
  gateway(chainDer: readonly Buffer[], spiffeId: string): boolean;
  /** That process, or the whole node. */
  process(process: { readonly pid: number; readonly startTime?: string | undefined }): boolean;
  node(): boolean;
  /** Why that process gets nothing, or, where it is not that, the first of the entries. */
  barred(
    process: { readonly pid: number; readonly startTime?: string | undefined },
    entries: readonly { readonly id: string; readonly spiffeId: SpiffeId }[],
  ): Barred | undefined;
  /** Calls after each change, in the same turn; returns how to stop. */
  onChange(listener: () => void): () => void;
}

/** Creates it. `node`: the agent's own SPIFFE ID, once it has one. */
export function createRevoked(
  known: Pick<CurrentRevocations, 'verdictOn' | 'onChange'>,
  node: () => string | undefined,
): Revoked {
  const isRevoked = (facts: RevocationFacts) => known.verdictOn(facts)?.mode === 'revoked';
  const barredBy = (facts: RevocationFacts): readonly Barred[] => {
    const verdict = known.verdictOn(facts);
    if (verdict?.mode !== 'revoked') return [];
    return [{ allow: false, reason: 'revoked', policies: [], revocation: verdict.revocations[0]?.id }];
  };
  const factsOf = ({ id, spiffeId }: { readonly id: string; readonly spiffeId: SpiffeId }): RevocationFacts => ({
    ...{ spiffeId: spiffeId.uri, entryId: id, nodeId: node() },
  });
  return {
    entry: (entry) => isRevoked(factsOf(entry)),
    svid: ({ chainDer }) => isRevoked({ thumbprint: thumbprintOf(chainDer) }),
    gateway: (chainDer, spiffeId) => isRevoked({ spiffeId, thumbprint: thumbprintOf(chainDer) }),
    process: (process) => isRevoked({ nodeId: node(), process }),
    node: () => isRevoked({ nodeId: node(), spiffeId: node() }),
    barred: (process, entries) => [{ nodeId: node(), process }, ...entries.map(factsOf)].flatMap(barredBy)[0],
    onChange: known.onChange,
  };
}

/** Of the leaf's public key. */
function thumbprintOf([leaf]: readonly Buffer[]): string | undefined {
  return leaf && sha256(parseCertificate(leaf).spkiDer).toString('hex');
}
