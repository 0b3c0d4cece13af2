import { isMadeOf, TOKEN } from './characters.ts';

/** One protocol as `Upgrade` names it (RFC 9110 §7.8): a token, and behind a slash its version. */
export function isProtocol(text: string): boolean {
  const parts = text.split('/');
  return parts.length <= 2 && parts.every((part) => isMadeOf(part, TOKEN));
}
