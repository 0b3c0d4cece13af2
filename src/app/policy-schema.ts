import { protocols } from '../gateway/protocols/registry.generated.ts';
import { composeSchema } from '../policy/index.ts';

/** The schema of policies over all registered protocols. */
export const policySchema = composeSchema(protocols.map((protocol) => protocol.policySchema));
