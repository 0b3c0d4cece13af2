import { RpcError } from '../../rpc/index.ts';
import { CodedError, codeOf } from '../../std/index.ts';

/** What a person does about a server that could not be reached, by what the system or the other side said; undefined = nothing in particular. */
export function remedyOfLink(error: unknown, setting: string): string | undefined {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < CAUSE_DEPTH_MAX; at = at.cause, depth++) {
    // Of a call itself only its words are known; what it failed of is behind it.
    if (at instanceof CodedError && !(at instanceof RpcError)) return at.entry.remedy;
    const known = REMEDIES.get(codeOf(at) ?? '');
    if (known !== undefined) return `${known} The address is in ${setting}.`;
  }
  return undefined;
}

/** Whether an identity should have been renewed by now: that is tried from half of its life on. */
export function isOverdue(life: { readonly issuedMs: number; readonly expiresMs: number }, nowMs: number): boolean {
  return nowMs > life.issuedMs + (life.expiresMs - life.issuedMs) * RENEWED_BY;
}

const REMEDIES: ReadonlyMap<string, string> = new Map([
  ['ENOTFOUND', 'The name of the server does not resolve: mend the name, or the DNS of this machine.'],
  ['EAI_AGAIN', 'The name of the server does not resolve now: see to the DNS of this machine.'],
  ['ECONNREFUSED', 'Nothing listens there: start the server, or mend its address.'],
  ['EHOSTUNREACH', 'There is no way to that machine: see to network and firewall.'],
  ['ENETUNREACH', 'There is no way to that machine: see to network and firewall.'],
  ['ETIMEDOUT', 'Nobody answers there: see to network and firewall, and that the server runs.'],
]);
/** Half of its life is for trying; at three quarters something is broken. */
const RENEWED_BY = 0.75;
const CAUSE_DEPTH_MAX = 5;
