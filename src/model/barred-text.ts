import type { Barred } from './decision.ts';

/** Why somebody is barred, for clients, as what is said of `it`; and what to do next. */
export function barredText({ reason, revocation }: Barred): { readonly what: string; readonly hint: string } {
  const named = revocation === undefined ? '' : ` (${revocation})`;
  switch (reason) {
    case 'revoked':
      return { what: `its credentials are revoked${named}`, hint: ASK };
    case 'quarantined':
      return { what: `it is in quarantine${named}, which does not let this pass`, hint: ASK };
    case 'revocations-stale':
      return {
        what: 'the gateway has not heard for too long who is revoked',
        hint: 'Try again in a moment; if it stays so, the operator has to see that the gateway reaches its server.',
      };
    default:
      return reason satisfies never;
  }
}

const ASK = 'Ask whoever operates this system; a new credential of the same identity is refused as well.';
