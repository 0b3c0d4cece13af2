/** What an agent needs to offer a target: its name, protocol, and the gateways that serve it. */
export interface TargetView {
  readonly name: string;
  readonly protocol: string;
  /** Where agents reach a gateway: `host:port` and the SPIFFE ID it must prove. */
  readonly gateways: readonly { readonly address: string; readonly spiffeId: string }[];
  /** Names that its clients ask for, where its protocol has such and it lists them; absent: of a server that does not tell. */
  readonly hosts?: readonly string[];
}

/** A target as a gateway opens it: `config` was checked against the protocol member's schema. */
export interface ResolvedTarget {
  readonly name: string;
  readonly protocol: string;
  readonly config: unknown;
}
