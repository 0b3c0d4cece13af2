/**
 * Declared resources: targets and policies as operators wrote them, and the gateways that serve them.
 *
 * It promises that a set of changes is applied wholly or not at all, that no set is taken which gateways would refuse, that every server learns of it within milliseconds, and that a plan shows what
 * will happen before it does. It must not know any protocol or the policy language: what checks specs, alone and together, is handed in.
 */
export { endpoints, type ResourceEndpointNeeds } from './endpoints.ts';
export { errorTable, ResourcesError } from './errors.ts';
export { resourcesMigrations } from './migrations.ts';
export { createResources } from './resources.ts';
export { lineDifferences } from './text-difference.ts';
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
  ServersSeen,
  Snapshot,
  ValidateResource,
  ValidateTogether,
} from './types.ts';
