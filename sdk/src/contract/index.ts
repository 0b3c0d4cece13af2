/**
 * The wire contracts: service descriptors generated from the .proto files in `proto/`; messages live beside them in `gen/` and are
 * imported from there (`@countersign/sdk/contract/gen/spire/api/types/entry_pb.ts`).
 *
 * It promises the field numbers, packages and method names of the SPIFFE Workload API and the SPIRE server API for all that it
 * holds, and that `gen/` is what `scripts/gen-contract.ts` makes from `proto/`. It knows no transport.
 */
export { Approvals } from './gen/countersign/control/v1/approvals_pb.ts';
export { Control } from './gen/countersign/control/v1/control_pb.ts';
export { Questions } from './gen/countersign/control/v1/questions_pb.ts';
export { Records } from './gen/countersign/control/v1/records_pb.ts';
export { Revocations } from './gen/countersign/control/v1/revocations_pb.ts';
export { Sessions } from './gen/countersign/control/v1/sessions_pb.ts';
export { Health } from './gen/grpc/health/v1/health_pb.ts';
export { SpiffeWorkloadAPI } from './gen/spiffe/workload/workload_pb.ts';
export { Agent } from './gen/spire/api/server/agent/v1/agent_pb.ts';
export { Bundle } from './gen/spire/api/server/bundle/v1/bundle_pb.ts';
export { Entry } from './gen/spire/api/server/entry/v1/entry_pb.ts';
export { SVID } from './gen/spire/api/server/svid/v1/svid_pb.ts';
