import type { PolicySource } from '../../policy/index.ts';

/** Who may do what with the server besides what is built in, where nobody has said otherwise. Operators replace it. */
export const defaultPolicy: PolicySource = {
  name: 'default',
  text: `@id("admins")
@description("Whoever has an entry with admin operates everything.")
permit(principal is Identity, action in Action::"countersign:operate", resource)
when { principal.admin };

@id("first-persons")
@description("Whoever came by a one-time link operates everything; links are taken only where no OpenID provider is configured.")
permit(principal is Countersign::Person, action in Action::"countersign:operate", resource)
when { principal.byLink };

// People who sign in by a provider have no rights until somebody says which group has which role. What may stand here:
//
// @id("platform")
// permit(principal is Countersign::Person, action in Action::"countersign:operate", resource)
// when { principal.issuer == "https://login.example.com" && principal.groups.contains("platform") };
//
// @id("responders")
// permit(principal is Countersign::Person, action in Action::"countersign:respond", resource)
// when { principal.issuer == "https://login.example.com" && principal.groups.contains("on-call") };
//
// @id("approvers")
// permit(principal is Countersign::Person, action in Action::"countersign:approve", resource)
// when { principal.issuer == "https://login.example.com" && principal.groups.contains("approvers") };
//
// @id("auditors")
// permit(principal is Countersign::Person, action in Action::"countersign:look", resource)
// when { principal.issuer == "https://login.example.com" && principal.groups.contains("auditors") };
//
// @id("owners-of-shop")
// permit(principal is Countersign::Person, action in Action::"countersign:own-target", resource)
// when {
//   principal.issuer == "https://login.example.com" && principal.groups.contains("team-shop") &&
//   resource has target && resource.target == "shop"
// };
`,
};
