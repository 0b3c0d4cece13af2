import type { Field, RequestHead } from '../../../../wire/http1/index.ts';
import type { GatewaySession } from '../../../sessions/session.ts';

/** The token that a request shows: in `authorization` alone, as RFC 6750 §2.1 has it. Undefined: none. */
export function bearerOf(fields: readonly Field[]): string | undefined {
  const shown = fields.filter(({ name }) => name === 'authorization');
  // Of several nobody knows which one counts.
  if (shown.length !== 1) return undefined;
  return BEARER.exec(shown[0]?.value ?? '')?.[1];
}

/** Who calls is proven with each request, and this one proves another than the session's, or nobody. */
export function isForeign({ proofs }: Pick<GatewaySession, 'proofs'>, { fields }: RequestHead): boolean {
  return proofs !== undefined && !proofs.isOwn(bearerOf(fields));
}

const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i;
