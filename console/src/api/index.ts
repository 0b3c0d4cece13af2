/**
 * The server, as the console asks it: calls, pages and events of the API, with what React needs to show them.
 *
 * It promises that whoever is not signed in is led to where they can and back, that an act is done once, and that a problem keeps its code. It must not
 * know what is shown. Nothing else of the console speaks to the network.
 */
export { leaveForSignIn, signInPath, signOut } from './client.ts';
export { type LiveState, useLive } from './live.ts';
export { type Problem, problemOf } from './problem.ts';
export { createQueries, type Input, type Item, keyOf, type Output, useAct, useCall, usePages } from './queries.ts';
