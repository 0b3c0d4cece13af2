import type { SpiffeId } from '@countersign/sdk/identity';
import type { IdentityAttributes } from '../model/index.ts';

/** Who calls, as the server has made sure of. */
export type Principal =
  /** The agent of a node, by the SVID that counts for that node. */
  | { readonly kind: 'node'; readonly id: SpiffeId }
  /** A workload, by its X.509-SVID or JWT-SVID; `admin` and `attributes` are what its entries say. */
  | {
      readonly kind: 'identity';
      readonly id: SpiffeId;
      readonly admin: boolean;
      readonly attributes: IdentityAttributes;
    }
  /** Somebody who has signed in, by the id of that sign-in. `email`: only what the issuer has verified. `byLink`: by a one-time link. */
  | {
      readonly kind: 'person';
      readonly issuer: string;
      readonly subject: string;
      readonly email: string | undefined;
      readonly groups: readonly string[];
      readonly byLink: boolean;
      readonly signIn: string;
    }
  /** Who reached the operator's local socket, by the kernel's word; `uid` is undefined where the kernel does not tell. */
  | { readonly kind: 'operator'; readonly uid: number | undefined; readonly text: string | undefined };

/** The name of a principal in the ledger. */
export function principalName(principal: Principal): string {
  switch (principal.kind) {
    case 'node':
    case 'identity':
      return principal.id.uri;
    case 'person':
      return `${principal.issuer}#${principal.subject}`;
    case 'operator':
      return principal.uid === undefined ? 'admin' : `unix:uid:${principal.uid}`;
    default:
      return principal satisfies never;
  }
}
