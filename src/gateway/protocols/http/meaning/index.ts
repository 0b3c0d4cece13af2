/**
 * What a request means: which question it asks of policy, and what of its head goes to the upstream.
 *
 * It promises that a path, query, field or body that two readers could take for different things is refused with what to do, that what goes on is
 * made anew from what was understood, and that the same request always means the same. It must not know sockets, time, secrets or policies.
 *
 * `path.ts` and `query.ts` read the target (`signed.ts` writes it for what is signed), `routes.ts` finds its route, `fields.ts` sorts fields of both directions, `meaning.ts` puts
 * them together; `as-written.ts` does so with a request that a person writes.
 */
export { askedAsWritten, refusedForMasks } from './as-written.ts';
export { bodyProblem, parsedBody } from './body.ts';
export { isGrpc, jsonFormatOf } from './content-type.ts';
export { answeredFields, forwardedFields } from './fields.ts';
export { createMeaning, type Meaning, type Meanings } from './meaning.ts';
export { isRefusal, type MeaningRefusal, refusal } from './refusal.ts';
