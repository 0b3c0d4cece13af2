/**
 * Endpoints: what an operation is that people and machines are offered, by whatever door.
 *
 * It promises that an endpoint is named, documented, bounded and tied to an action of policy by its very type, that what a handler is given is what
 * its schema says, and that whoever mounts a list of them needs to know nothing else. It must not know any feature, how a request arrives, or who
 * decides. Features export lists of them; `src/api/rest` mounts those.
 */
export {
  type AuditDetails,
  BODY_BYTES_MAX,
  type Endpoint,
  type EndpointCall,
  type EndpointMethod,
  type EndpointResource,
  type EndpointWords,
  endpointsOf,
  type FollowCall,
  type FoundSubjects,
  type Narrowed,
  type NeedsOf,
  pathNames,
  type SendEvent,
  type TellEvents,
} from './endpoint.ts';
export { EndpointError, type EndpointErrorCode, errorTable, type InputProblem } from './errors.ts';
export { type OpenApiDocument, openApiDocument } from './openapi.ts';
export { cursorAfter, type PageRequest, pageInput, pageOf, pageOfAll, readPage } from './page.ts';
export { type Principal, principalName } from './principal.ts';
export { placesOf, problemsOf, type RequestParts, readInput } from './read-input.ts';
export { notAsSeen, notFound, notTaken } from './refusals.ts';
