/**
 * A process's own identity, from the Workload API: its SVID with key and bundles, kept fresh for as long as it runs, and the same as
 * files for programs that read files.
 *
 * It promises that an expired SVID is never handed out, that a lost agent is looked for until it is back, and that files always hold
 * a whole, matching set. It must not know how identities are attested or issued, nor what they are used for.
 */
export { errorTable, WorkloadIdentityError } from './errors.ts';
export { type OwnIdentity, parseX509Response } from './parse-response.ts';
export { writeSvidFiles } from './svid-files.ts';
export { createWorkloadIdentity, type WorkloadIdentity } from './workload-identity.ts';
