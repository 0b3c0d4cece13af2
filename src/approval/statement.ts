import type { HoldRow } from './migrations.ts';

/** What makes the statement of an approval what it is: no JWT-SVID passes for one, nor one for a JWT-SVID. */
export const approvalStatement = { type: 'countersign-approval+jwt' } as const;

/**
 * What a server says of an approval that was taken for its one use, to the gateway that asked. `by`: those who said yes. It is good for as long as it
 * takes to begin: `exp`, in seconds.
 */
export function statementClaims(
  row: Pick<HoldRow, 'id' | 'hold' | 'digest' | 'gateway' | 'decided_ms'>,
  of: { readonly trustDomain: string; readonly by: readonly string[]; readonly nowMs: number },
) {
  const { id: approval, hold, digest, gateway, decided_ms: answeredAt } = row;
  const iat = Math.floor(of.nowMs / 1000);
  return {
    iss: `spiffe://${of.trustDomain}`,
    ...{ approval, hold, digest, gateway, by: [...of.by], answeredAt, iat, exp: iat + LIFE_S },
  };
}

/** Written to the ledger and forwarded at once; the clocks of server and gateway may differ by some seconds. */
const LIFE_S = 60;
