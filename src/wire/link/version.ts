/** `1`: the preface has the target's name. `2`: it may also say who the caller is, and what is unknown in it is passed over. */
export type LinkVersion = 1 | 2;

/**
 * What both sides offer by ALPN, newest first: the handshake finds the newest that both know, and nothing else is ever taken for a link. A field
 * more needs no version; a new one is for what must be understood.
 */
export const linkAlpn: readonly string[] = ['countersign-link/2', 'countersign-link/1'];

/** The version that a handshake has come to; undefined: the peer speaks no link. */
export function linkVersionOf(alpn: string | false | null): LinkVersion | undefined {
  if (alpn === 'countersign-link/2') return 2;
  return alpn === 'countersign-link/1' ? 1 : undefined;
}
