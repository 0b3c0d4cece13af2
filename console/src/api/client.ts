import { ApiProblem, createBrowserClient } from '@countersign/sdk/browser';

/** The server that this page came from. Everything the console shows and does is one of its calls; `curl` can make each of them. */
export const api = createBrowserClient();

/** Nobody is signed in, or no longer. */
export function isSignedOut(error: unknown): boolean {
  return error instanceof ApiProblem && error.status === 401;
}

/** To the page of signing in, which leads back to where somebody is now. Nothing of this page goes on meanwhile. */
export function leaveForSignIn(): void {
  if (isLeaving) return;
  isLeaving = true;
  window.location.assign(signInPath(window.location));
}

/** Where it leads back to is what the server takes for a place of the console: with a longer or another one it would refuse to begin. */
export function signInPath({ pathname, search }: { readonly pathname: string; readonly search: string }): string {
  const here = `${pathname}${search}`;
  const isTaken = here.length <= RETURN_CHARS_MAX && /^\/console\/[\w.~%:@/-]*(?:\?[\w.~%=&:@/*+,-]*)?$/.test(here);
  return `/sign-in?return=${encodeURIComponent(isTaken ? here : '/console/')}`;
}

/** Ends the sign-in at the server, and shows that. */
export async function signOut(): Promise<void> {
  const answer = await fetch('/sign-in/out', { method: 'POST', credentials: 'same-origin' });
  if (!answer.ok) throw new ApiProblem(answer.status, await answer.text(), undefined);
  isLeaving = true;
  window.location.assign('/sign-in');
}

let isLeaving = false;
const RETURN_CHARS_MAX = 700;
