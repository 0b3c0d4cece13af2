/**
 * Declared resources as operators wrote them, targets and policies among them, and the gateways that serve those.
 *
 * It promises that a set of changes is applied wholly or not at all, that no set is taken which gateways would refuse, that every server learns of it within milliseconds, and that a plan shows what
 * will happen before it does. It must not know any protocol: those are handed in. What can be declared is a family (`kinds/`): only the folder of a kind knows what its specs say.
 */
export { endpoints, type ResourceEndpointNeeds } from './endpoints.ts';
export { errorTable, ResourcesError } from './errors.ts';
export { type Kind, type KindMember, kindName, openKinds } from './kind.ts';
export { endpointsOfKinds } from './kind-endpoints.ts';
export { resourcesMigrations } from './migrations.ts';
export { anyOf } from './planning/plan.ts';
export { lineDifferences } from './planning/text-difference.ts';
export { createResources } from './resources.ts';
export type {
  ApplyOptions,
  Change,
  GatewayInstance,
  GatewayView,
  Plan,
  PlanOptions,
  Problem,
  ReportedGateway,
  Resource,
  ResourceKind,
  ResourceName,
  Resources,
  Snapshot,
} from './types.ts';
