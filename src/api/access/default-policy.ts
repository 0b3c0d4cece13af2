import type { PolicySource } from '../../policy/index.ts';

/** Who may do what with the server where nobody has said otherwise: today's roles, in Cedar. */
export const defaultPolicy: PolicySource = {
  name: 'default-policy',
  text: `
@id("anyone")
@description("What is asked before anybody has an identity.")
permit(principal, action in Action::"countersign:public", resource);

@id("nodes")
@description("Agents look after their nodes, and issue what the entries say.")
permit(principal is Countersign::Node, action in Action::"countersign:attend-node", resource);

@id("gateways")
@description("Gateways are told what they serve, and say how they are.")
permit(principal is Identity, action in Action::"countersign:serve-gateway", resource)
when { principal.path == "/countersign/gateway" || principal.path like "/countersign/gateway/*" };

@id("admins")
@description("Whoever has an entry with admin operates everything.")
permit(principal is Identity, action in Action::"countersign:operate", resource)
when { principal.admin };

@id("operators")
@description("Whoever may open the operator's socket of a server operates everything.")
permit(principal is Countersign::Operator, action in Action::"countersign:operate", resource);

@id("persons")
@description("Whoever has signed in may see whom the server takes them for.")
permit(principal is Countersign::Person, action == Action::"countersign:caller.get", resource);

@id("first-persons")
@description("Whoever came by a one-time link operates everything; links are taken only where no OpenID provider is configured.")
permit(principal is Countersign::Person, action in Action::"countersign:operate", resource)
when { principal.byLink };
`,
};
