import type { PolicySource } from '../../policy/index.ts';

/**
 * What holds whatever operators say of access: agents and gateways go on, and whoever has the operator's socket can always mend what others
 * have broken. No policy of theirs refuses it.
 */
export const builtInPolicy: PolicySource = {
  name: 'built-in',
  text: `
@id("built-in:anyone")
@description("What is asked before anybody has an identity.")
permit(principal, action in Action::"countersign:public", resource);

@id("built-in:nodes")
@description("Agents look after their nodes, and issue what the entries say.")
permit(principal is Countersign::Node, action in Action::"countersign:attend-node", resource);

@id("built-in:gateways")
@description("Gateways are told what they serve, and say how they are.")
permit(principal is Identity, action in Action::"countersign:serve-gateway", resource)
when { principal.path == "/countersign/gateway" || principal.path like "/countersign/gateway/*" };

@id("built-in:operators")
@description("Whoever may open the operator's socket of a server operates everything.")
permit(principal is Countersign::Operator, action in Action::"countersign:operate", resource);

@id("built-in:persons")
@description("Whoever has signed in may see whom the server takes them for.")
permit(principal is Countersign::Person, action == Action::"countersign:caller.get", resource);
`,
};

/** Ids of policies that begin so are the server's own. */
export const BUILT_IN = 'built-in:';
