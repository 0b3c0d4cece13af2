import type { CedarTypeJson, PolicySchemaFragment, ResourceFields } from '../../../../policy/index.ts';

const text: CedarTypeJson = { type: 'String' };

/** Fields of an answer's JSON body. */
const fields: ResourceFields = { within: [], paths: [['body', '**']], example: ['body', 'user', 'ssn'] };

const request = {
  resources: ['Route', 'Origin'],
  context: {
    method: text,
    /** Canonical: what needs it is percent-encoded, in upper case; without query, path parameters and slash at its end. */
    path: text,
    /** Lower case, without port. */
    host: text,
  },
  // The action has the method, and the path is that of the route with the values of its parameters.
  told: { Route: ['method', 'path'], Origin: ['method'] },
  limits: { items: 'items', bytesIn: 'bytesIn', bytesOut: 'bytesOut', duration: 'duration', rate: 'rate' },
} as const;

/** What HTTP adds to the policy language. */
export const policySchema: PolicySchemaFragment = {
  namespace: 'Http',
  entityTypes: {
    /** Without tags, though they are declared: so a condition on those of a route may stand in a policy on all that a target has. */
    Origin: { memberOf: ['Target'], attributes: { target: text }, path: ['target'], tags: text, fields },
    /** Its tags: `path.NAME`, `query.NAME`, `header.NAME`, `body.NAME.NAME`. */
    Route: {
      memberOf: ['Origin'],
      attributes: { target: text, name: text },
      path: ['target', 'name'],
      tags: text,
      fields,
    },
  },
  actions: {
    'http:connect': { resources: ['Origin'], context: {}, limits: { sessions: 'sessions' } },
    'http:get': request,
    'http:head': request,
    'http:options': request,
    'http:post': request,
    'http:put': request,
    'http:patch': request,
    'http:delete': request,
    // Any other method, by its name in the context.
    'http:other': { ...request, told: { Route: ['path'] } },
    // A WebSocket, whose messages nobody looks into.
    'http:upgrade': request,
  },
  session: 'http:connect',
  groups: {
    'http:read': ['http:get', 'http:head', 'http:options'],
    'http:write': ['http:post', 'http:put', 'http:patch', 'http:delete'],
    'http:any': ['http:read', 'http:write', 'http:connect', 'http:other', 'http:upgrade'],
  },
};
