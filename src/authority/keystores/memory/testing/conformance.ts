/** What the conformance suite of keystores needs to know of this one. */
export const conformance = { durable: false, config: () => ({}), remove: () => {} };
